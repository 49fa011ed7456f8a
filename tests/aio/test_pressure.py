"""Back-pressure awaits: writers wait for room in turn, the loop goes on, and nothing of a refused write is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, stored

import shardkv
import shardkv.aio
from shardkv._native import DISK, NotYet, pack

BUDGET = 1 << 20
OPTIONS: dict[str, Any] = {"unflushed_bytes": BUDGET, "segment_bytes": (65536, 1 << 20)}


def test_writers_beyond_the_budget_are_held_and_the_loop_goes_on(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        turns, over = 0, False

        async def other() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0)

        async def write(number: int) -> int:
            longest = 0
            for turn in range(20):
                before = turns
                ack = "memory" if number % 2 else "disk"
                await store.put(b"%d-%d" % (number, turn), bytes(20_000), ack=ack)
                longest = max(longest, turns - before)
            return longest

        async with shardkv.aio.open(path, shards=2, **OPTIONS) as store:
            task = asyncio.create_task(other())
            longest = await asyncio.gather(*(write(number) for number in range(20)))
            over = True
            await task
            stats = await store.stats()
            assert max(longest) > 10, "nobody was held while others ran"
            assert stats.seqno == 20 * 20
            assert stats.stall_s > 0
            assert stats.unflushed_bytes <= BUDGET + 21_000

    run(main())
    assert len(stored(path)) == 400


@pytest.mark.parametrize("size", [BUDGET, 4 * BUDGET])
def test_a_write_larger_than_the_whole_budget_gets_through(
    run: Run[Any], path: Path, size: int
) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, **OPTIONS) as store:
            for turn in range(3):
                await store.put(b"%d" % turn, bytes([turn]) * size, ack="memory")
            assert await store.get(b"2") == bytes([2]) * size
            await asyncio.gather(*(store.put(b"%d" % n, bytes(size)) for n in range(4)))
            async with store.batch() as batch:
                batch.put(b"a", bytes(size))
                batch.put(b"b", bytes(size))
            tally = await store.delete_many([b"a", b"b", b"c", b"0"])
            assert tally == 3

    run(main())


def test_a_task_cancelled_or_refused_while_it_waits_for_room_has_written_nothing(
    run: Run[Any], path: Path
) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, write_timeout=600) as store:
            await store.configure(max_writes_per_s=1)
            first = await store.put_many((b"first %d" % n, b"") for n in range(100))
            waiting = [asyncio.create_task(store.put(b"%d" % n, b"")) for n in range(50)]
            waiting.append(asyncio.create_task(store.put_many({b"many": b""})))
            waiting.append(asyncio.create_task(store.incr(b"counter")))
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(answer) for answer in answers} == {asyncio.CancelledError}
            assert await store.count() == (await store.stats()).seqno == first == 100
            await store.configure(max_writes_per_s=0)
            assert await store.put(b"later", b"") == 101, "nobody waits for those who gave up"

    run(main())
    assert len(stored(path)) == 101


def test_a_batch_that_is_dropped_waits_for_no_room(run: Run[Any], path: Path) -> None:
    """What its block raised came when there was room; or OverloadedError, or ClosedError, came in its place."""

    async def drop(batch: shardkv.aio.Batch) -> None:
        async with batch:
            batch.put(b"never", b"")
            raise ZeroDivisionError

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, write_timeout=600) as store:
            await store.configure(max_writes_per_s=1)
            await store.put_many((b"first %d" % n, b"") for n in range(100))
            waiting = asyncio.create_task(store.put(b"later", b""))
            await asyncio.sleep(0)
            with pytest.raises(ZeroDivisionError):
                await drop(store.batch())
            async with store.batch() as empty:
                pass
            assert empty.seqno is None
            assert (await store.stats()).seqno == 100, "the one before stands in line"
            waiting.cancel()
            outlives = store.batch()
        with pytest.raises(ZeroDivisionError):
            await drop(outlives)

    run(main())
    assert len(stored(path)) == 100


def test_a_transaction_that_only_reads_waits_for_no_room(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, write_timeout=600) as store:
            await store.configure(max_writes_per_s=1)
            await store.put_many((b"first %d" % n, b"") for n in range(100))
            waiting = asyncio.create_task(store.put(b"later", b""))
            await asyncio.sleep(0)
            async with store.transaction() as transaction:
                assert await transaction.get(b"first 1") == b""
            assert await store.run_transaction(lambda t: t.get(b"later")) is None
            assert (await store.stats()).seqno == 100, "the one before stands in line"
            waiting.cancel()

    run(main())
    assert len(stored(path)) == 100


def test_deletes_that_were_made_before_there_was_no_room_count_and_are_waited_for(
    run: Run[Any], path: Path
) -> None:
    """The key without room may be gone when it is tried again: then no later call speaks for those before it."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            await store.put_many({b"%d" % n: b"" for n in range(6)})
            await store.configure(max_writes_per_s=1)
            engine, tally = store._line().engine, [0]
            with pytest.raises(NotYet):
                engine.delete_some(pack([b"0", b"1", b"2"]), DISK, tally)
            assert tally == [1]
            assert engine.debt.seqno == engine.last_seqno() == 7
            engine.give_up()
            await store.configure(max_writes_per_s=50)
            assert await store.delete_many(b"%d" % n for n in range(6)) == 5

    run(main())
    assert stored(path) == {}
