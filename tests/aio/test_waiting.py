"""What tasks wait for: nothing is shown or acknowledged before it is durable, and a failure reaches everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, make_unwritable

import shardkv
import shardkv.aio

KEY = b"key"
Read = Callable[[shardkv.aio.Store], Awaitable[Any]]


async def in_cut(store: shardkv.aio.Store) -> Any:
    async with store.snapshot() as cut:
        return await cut.get(KEY)


async def first_row(store: shardkv.aio.Store) -> Any:
    async for row in store.scan():
        return row
    return None


async def short_scan(store: shardkv.aio.Store) -> Any:
    return [row async for row in store.scan(KEY, limit=1)]


READS: dict[str, Read] = {
    "get": lambda store: store.get(KEY),
    "contains": lambda store: store.contains(KEY),
    "get_many": lambda store: store.get_many([b"none", KEY]),
    "count": lambda store: store.count(),
    "first row": first_row,
    "short scan": short_scan,
    "get of a snapshot": in_cut,
    "delete of what is there": lambda store: store.delete(KEY, ack="memory"),
    "pop": lambda store: store.pop(KEY),
}


@pytest.mark.parametrize("read", READS)
def test_a_reader_of_a_disk_record_waits_for_its_sync(run: Run[Any], path: Path, read: str) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            for turn in range(100):
                ticket = await store.submit(KEY, bytes([turn]) * 3000)
                await READS[read](store)
                assert ticket.done(), f"turn {turn}"

    run(main())


@pytest.mark.parametrize("read", READS)
def test_a_reader_is_never_shown_what_could_not_be_synced(
    run: Run[Any], path: Path, read: str
) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        await store.put(b"kept", b"1")
        make_unwritable(store.path)
        ticket = await store.submit(KEY, b"never durable")
        with pytest.raises(shardkv.PoisonedError):
            pytest.fail(f"{read} gave {await READS[read](store)!r}")
        with pytest.raises(shardkv.PoisonedError):
            await ticket
        assert await store.get(b"kept") == b"1"
        with pytest.raises(shardkv.PoisonedError):
            await store.close()

    run(main())


def test_the_absence_of_a_deleted_key_is_waited_for_too(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            for turn in range(50):
                await store.put(KEY, b"%d" % turn)
                delete = asyncio.create_task(store.delete(KEY))
                await asyncio.sleep(0)
                while await store.contains(KEY):
                    await asyncio.sleep(0)
                assert store.durable_seqno() == 2 * turn + 2, "told before it was durable"
                assert await delete

    run(main())


def test_a_key_that_is_always_being_overwritten_can_be_read(run: Run[Any], path: Path) -> None:
    """A reader that looked again after each wait found a newer record that was not durable each time, for ever."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            over = False

            async def overwrite() -> None:
                turn = 0
                while not over:
                    turn += 1
                    await store.submit(KEY, b"%d" % turn)
                    await asyncio.sleep(0)

            writer = asyncio.create_task(overwrite())
            await asyncio.sleep(0)
            for _ in range(100):
                assert await store.get(KEY)
                assert not await store.delete(b"none")
                assert await store.contains(KEY)
            over = True
            await writer

    run(main())


def test_a_poisoned_log_raises_in_every_waiter(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=2)
        await store.put(b"before", b"1")
        tickets = [await store.submit(b"early", b"")]
        await tickets[0]
        make_unwritable(store.path)
        tickets.append(await store.submit(b"late", b""))
        batch = store.batch()
        batch.put(b"batched", b"")
        answers = await asyncio.gather(
            *(store.put(b"%d" % n, b"v") for n in range(1000)),
            store.put_many({b"many": b""}),
            batch.__aexit__(None, None, None),
            store.sync(),
            *tickets[1:],
            return_exceptions=True,
        )
        assert {type(answer) for answer in answers} == {shardkv.PoisonedError}
        assert len({id(answer) for answer in answers}) == len(answers), "an error has one traceback"
        assert await tickets[0] == tickets[0].seqno
        with pytest.raises(shardkv.PoisonedError):
            await store.put(b"later", b"")
        with pytest.raises(shardkv.PoisonedError):
            await store.flush()
        with pytest.raises(shardkv.PoisonedError):
            await store.close()

    run(main())


def test_a_memory_write_waits_for_nothing(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, ack="memory") as store:
            for turn in range(1000):
                await store.put(KEY, b"%d" % turn)
                assert await store.get(KEY) == b"%d" % turn
            await store.put(KEY, b"last", ack="disk")
            assert store.durable_seqno() == 1001

    run(main())


def test_closing_tells_the_tasks_that_wait(run: Run[Any], path: Path) -> None:
    """Closing syncs: whoever was appended is durable, whoever comes later is refused."""

    async def main() -> None:
        for turn in range(20):
            store = await shardkv.aio.open(path, shards=2)
            puts = [asyncio.create_task(store.put(b"%d-%d" % (turn, n), b"v")) for n in range(200)]
            if turn % 2:
                await asyncio.sleep(0)
            tickets = [await store.submit(b"t%d" % n, b"") for n in range(turn)]
            await store.close(flush=False)
            answers = await asyncio.gather(*puts, *tickets, return_exceptions=True)
            wrong = [a for a in answers if not isinstance(a, int | shardkv.ClosedError)]
            assert not wrong
            acked = [n for n in range(200) if isinstance(answers[n], int)]
            assert len(acked) == 200 if turn % 2 else True
            async with shardkv.aio.open(path) as store:
                for n in acked:
                    assert await store.get(b"%d-%d" % (turn, n)) == b"v"
                assert (await store.stats()).replayed_records >= len(acked)

    run(main())
