"""Several loops, threads and processes: each loop has its own line to the store, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aio.loops import KINDS, Run, eventfds, runs, stored
from stress.traffic import answer_of, together

import shardkv
import shardkv.aio

EACH = 300


async def write(store: shardkv.aio.Store, number: int) -> None:
    async def one(turn: int) -> None:
        key = b"%d-%d" % (number, turn)
        await store.put(key, b"v")
        assert await store.get(key) == b"v"

    await asyncio.gather(*(one(turn) for turn in range(EACH)))


@pytest.mark.parametrize("kind", KINDS)
def test_loops_in_several_threads_share_one_store_with_synchronous_threads(
    kind: str, path: Path
) -> None:
    with shardkv.open(path, shards=3) as store:

        def work(number: int) -> None:
            if number < 2:
                for turn in range(EACH):
                    store.put(b"%d-%d" % (number, turn), b"v")
                return

            async def main() -> None:
                async with shardkv.aio.open(path) as mine:
                    await write(mine, number)

            runs(kind)(main())

        together(6, work)
        assert len(store) == 6 * EACH
    assert len(stored(path)) == 6 * EACH


@pytest.mark.parametrize("kind", KINDS)
def test_one_object_may_be_used_from_several_loops(kind: str, path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            tickets = [await store.submit(b"t%d" % n, b"") for n in range(4)]

            async def elsewhere(number: int) -> None:
                assert await tickets[number] == number + 1
                await write(store, number)

            def work(number: int) -> None:
                runs(kind)(elsewhere(number))

            await asyncio.to_thread(together, 4, work)
            await write(store, 4)
            assert await store.count() == 5 * EACH + 4

    runs(kind)(main())


def test_closing_from_one_loop_tells_the_tasks_of_another(run: Run[Any], path: Path) -> None:
    answers: list[Any] = []
    begun, closed = threading.Event(), threading.Event()

    async def elsewhere(store: shardkv.aio.Store) -> None:
        tasks = [asyncio.create_task(store.put(b"%d" % n, b"v")) for n in range(100)]
        await asyncio.sleep(0)
        begun.set()
        answers.extend(await asyncio.gather(*tasks, return_exceptions=True))
        await asyncio.to_thread(closed.wait)
        with pytest.raises(shardkv.ClosedError):
            await store.get(b"1")

    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        other = threading.Thread(target=lambda: run(elsewhere(store)))
        other.start()
        await asyncio.to_thread(begun.wait)
        await store.close()
        closed.set()
        await asyncio.to_thread(other.join)

    run(main())
    assert sorted(answers) == list(range(1, 101))
    assert len(stored(path)) == 100


def test_a_store_that_others_have_open_stays_open_for_them(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        with shardkv.open(path, shards=1) as other:
            store = await shardkv.aio.open(path)
            puts = [asyncio.create_task(store.put(b"%d" % n, b"v")) for n in range(100)]
            await asyncio.sleep(0)
            await store.close()
            assert sorted(await asyncio.gather(*puts)) == list(range(1, 101))
            with pytest.raises(shardkv.ClosedError):
                await store.put(b"a", b"b")
            assert len(other) == 100
            await asyncio.sleep(0)  # the line of the closed store ends
            before = eventfds()
            async with shardkv.aio.open(path) as store:
                await store.put(b"a", b"b")
                assert eventfds() == before + 1
            await asyncio.sleep(0)
            assert eventfds() == before

    run(main())


def test_loops_that_end_without_closing_the_store_leave_no_descriptor(
    run: Run[Any], path: Path
) -> None:
    waits: list[bool] = []

    async def use(store: shardkv.aio.Store, turn: int) -> None:
        await store.put(b"%d" % turn, b"v")
        late = asyncio.create_task(store.put(b"late %d" % turn, bytes(100_000)))
        await asyncio.sleep(0)
        waits.append(not late.done())

    store = run(opened(path))
    run(use(store, 0))
    before = eventfds()
    for turn in range(1, 20):
        run(use(store, turn))
    assert eventfds() <= before
    assert any(waits), "no loop ended with a task that waits"
    run(store.close())
    assert len(stored(path)) == 40


async def opened(path: Path) -> shardkv.aio.Store:
    return await shardkv.aio.open(path, shards=1)


FORKED = """
import asyncio, os, sys, shardkv, shardkv.aio

def in_child(store, snapshot, batch, ticket):
    calls = [
        lambda: store.put(b"a", b"b"), lambda: store.put(b"a", b"b", ack="memory"),
        lambda: store.submit(b"a", b"b"), lambda: store.get(b"1"), lambda: store.contains(b"1"),
        lambda: store.get_many([b"1"]), lambda: store.put_many({b"a": b"b"}),
        lambda: store.delete(b"1"), lambda: store.pop(b"1"), lambda: store.delete_many([b"1"]),
        lambda: store.count(), lambda: store.stats(), lambda: store.sync(), lambda: store.flush(),
        lambda: snapshot.get(b"1"), lambda: batch.__aexit__(None, None, None),
        lambda: ticket.wait(), lambda: store.close(),
    ]

    async def main():
        for number, call in enumerate(calls):
            try:
                await call()
            except shardkv.ForkedError:
                continue
            return f"call {number} worked in the child"
        async with shardkv.aio.open(sys.argv[2]) as mine:
            await mine.put(b"child", b"1")
        return ""
    return asyncio.run(main())

async def parent():
    async with shardkv.aio.open(sys.argv[1], shards=2) as store:
        await asyncio.gather(*(store.put(b"%d" % n, b"v") for n in range(500)))
        batch = store.batch()
        batch.put(b"batched", b"")
        snapshot, ticket = await store.snapshot(), await store.submit(b"submitted", b"")
        waiting = [asyncio.create_task(store.put(b"w%d" % n, b"v")) for n in range(500)]
        await asyncio.sleep(0)
        child = os.fork()
        if child == 0:
            asyncio._set_running_loop(None)
            wrong = in_child(store, snapshot, batch, ticket)
            if wrong:
                print(wrong, file=sys.stderr)
            os._exit(3 if wrong else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        await asyncio.gather(*waiting)
        assert await store.count() == 1001
        await snapshot.close()

asyncio.run(parent())
with shardkv.open(sys.argv[2]) as mine:
    assert list(mine) == [b"child"]
print("well")
"""


def test_a_forked_child_is_told_at_every_call_and_the_parent_goes_on(tmp_path: Path) -> None:
    assert answer_of(FORKED, tmp_path / "store", tmp_path / "other") == "well"
