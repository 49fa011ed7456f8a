"""The change feed, awaited: everything, once durable, in order; a slow reader is told, nobody blocks the loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, make_unwritable

import shardkv
import shardkv.aio


def test_changes_replay_and_end(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2, retain_log_bytes=64 << 20) as store:
            await store.put_many({b"%05d" % n: b"v" for n in range(5000)}, ack="memory")
            await store.delete(b"00007")
            seen = [change async for change in store.changes()]
            assert [change.seqno for change in seen] == list(range(1, 5002))
            assert seen[-1].value is None
            some = [change.key async for change in store.changes(4000, prefix=b"0499")]
            assert sorted(some) == [b"%05d" % n for n in range(4990, 5000)]
            with pytest.raises(TypeError):
                store.changes("1")

    run(main())


def test_a_watcher_is_shown_what_becomes_durable_while_others_write(
    run: Run[Any], path: Path
) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            watch = store.watch(b"k", timeout=30)

            async def follow() -> list[int]:
                found = []
                async for change in watch:
                    assert change.seqno <= store.durable_seqno()
                    found.append(change.seqno)
                    if change.value == b"last":
                        break
                return found

            follower = asyncio.create_task(follow())
            await asyncio.sleep(0)
            seqnos = []
            for turn in range(20):
                seqnos += await asyncio.gather(
                    *(store.put(b"k%d" % n, b"%d" % turn) for n in range(50)),
                )
                await store.put(b"other", b"", ack="memory")
            seqnos.append(await store.put(b"k", b"last"))
            assert await follower == sorted(seqnos)
            assert watch.seqno >= seqnos[-1]
            await watch.close()

    run(main())


def test_a_watcher_that_waits_holds_back_nobody(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            async with store.watch() as watch:
                for _ in range(100):
                    with pytest.raises(TimeoutError):
                        await watch.get(0)
                assert not store._line()._watching, "who gave up is remembered for ever"
                waiter = asyncio.create_task(watch.get())
                await asyncio.sleep(0)
                for turn in range(50):
                    ticket = await store.submit(b"k", b"%d" % turn)
                    await asyncio.sleep(0)
                    assert await store.get(b"k") == b"%d" % turn
                    await ticket
                assert (await waiter).value == b"0"
                assert [(await watch.get(30)).value for _ in range(49)][-1] == b"49"

    run(main())


def test_a_thousand_watchers_are_armed_for_once(run: Run[Any], path: Path) -> None:
    """Each that began to wait looked at all the others."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            line, arms = store._line(), []
            arm = line._notifier.arm
            line._notifier.arm = lambda seqno: arms.append(seqno) or arm(seqno)  # type: ignore[method-assign,func-returns-value]
            watches = [store.watch() for _ in range(1000)]
            for turn in range(3):
                waiters = [asyncio.create_task(watch.get()) for watch in watches]
                await asyncio.sleep(0)
                await store.put(b"k", b"%d" % turn)
                assert [(await waiter).value for waiter in waiters] == [b"%d" % turn] * 1000
            assert len(arms) < 20
            assert not line._watching
            for watch in watches:
                await watch.close()

    run(main())


def test_a_watch_ends_when_it_or_its_store_is_closed(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        watches = [store.watch() for _ in range(3)]

        async def drain(watch: shardkv.aio.Watch) -> int:
            return len([change async for change in watch])

        tasks = [asyncio.create_task(drain(watch)) for watch in watches]
        await asyncio.sleep(0)
        await watches[0].close()
        assert await tasks[0] == 0
        with pytest.raises(shardkv.ClosedError):
            await watches[0].get()
        await store.put(b"a", b"b")
        while min(watch.seqno for watch in watches[1:]) < 1:
            await asyncio.sleep(0)
        await store.close()
        assert [await task for task in tasks[1:]] == [1, 1]

    run(main())


def test_a_poisoned_log_ends_a_watch_with_its_reason(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        await store.put(b"a", b"b")
        waiter = asyncio.create_task(store.watch().get())
        await asyncio.sleep(0)
        make_unwritable(store.path)
        with pytest.raises(shardkv.PoisonedError):
            await store.put(b"c", b"d")
        with pytest.raises(shardkv.PoisonedError):
            await waiter
        with pytest.raises(shardkv.PoisonedError):
            await store.close()

    run(main())


def test_a_reader_that_comes_too_late_is_told_where_to_go_on(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, segment_bytes=(65536, 65536)) as store:
            for turn in range(100):
                await store.put(b"%d" % turn, bytes(10_000), ack="memory")
            await store.flush()
            await store.put(b"new", b"1")
            while (await store.stats()).log.oldest_seqno == 1:
                await store.put(b"new", b"1")  # the log gives back what nobody needs by itself
            with pytest.raises(shardkv.LogGoneError) as caught:
                [change async for change in store.changes()]
            assert [c.key async for c in store.changes(caught.value.seqno)][-1] == b"new"

    run(main())


def test_the_feed_of_a_namespace_is_typed(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            space, other = await store.namespace("n"), await store.namespace("other")
            watch = space.watch(timeout=30)
            await space.put("a", {"x": 1})
            await other.put("a", 2)
            await space.delete("a")
            first, second = await watch.get(30), await anext(watch)
            assert (first.key, first.value, first.deleted) == ("a", {"x": 1}, False)
            assert (second.key, second.deleted) == ("a", True)
            assert [change.deleted async for change in space.changes()] == [False, True]
            await watch.close()
            assert [change async for change in watch] == []

    run(main())


def test_a_watcher_hears_of_synchronous_writers(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        with shardkv.open(path, shards=1) as other:
            async with shardkv.aio.open(path) as store, store.watch() as watch:
                for turn in range(50):
                    waiter = asyncio.create_task(watch.get(30))
                    await asyncio.sleep(0)
                    await asyncio.to_thread(other.put, b"k", b"%d" % turn, ack="memory")
                    assert (await waiter).value == b"%d" % turn

    run(main())
