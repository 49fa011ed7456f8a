"""The names of the synchronous store, awaited: the same answers."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, stored

import shardkv
import shardkv.aio


def test_what_is_put_is_durable_and_read_back(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            assert await store.put(b"a", b"1") == 1
            assert store.durable_seqno() >= 1
            assert await store.get(b"a") == b"1"
            assert await store.get(b"none") is None
            assert await store.get(b"none", 7) == 7
            assert await store.contains(b"a")
            assert not await store.contains(b"none")
            assert await store.put(b"a", b"2", ack="memory") == 2
            assert await store.get(b"a") == b"2"
            assert await store.count() == 1
            assert await store.delete(b"a")
            assert not await store.delete(b"a")
            await store.put(bytearray(b"b"), memoryview(b"3"))
            assert await store.pop(b"b") == b"3"
            assert await store.pop(b"b", None) is None
            with pytest.raises(KeyError):
                await store.pop(b"b")
            await store.put(b"kept", b"")

    run(main())
    assert stored(path) == {b"kept": b""}


def test_it_is_opened_by_awaiting_and_by_entering(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        await store.put(b"a", b"1")
        await store.close()
        await store.close()
        assert store.closed
        async with await shardkv.aio.open(path) as store:
            await store.put(b"b", b"2")
        async with shardkv.aio.open(path) as store:
            assert [key async for key in store] == [b"a", b"b"]
        with pytest.raises(shardkv.InvalidError):
            async with shardkv.aio.open(path, shards=7):
                pass
        with pytest.raises(TypeError):
            await shardkv.aio.open(path, nonsense=1)

    run(main())


def test_bad_input_is_told_as_by_the_synchronous_store(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            for key, value, error in [
                (b"", b"", shardkv.InvalidError),
                (bytes(501), b"", shardkv.KeyTooLongError),
                (b"a", bytes((32 << 20) + 1), shardkv.ValueTooLargeError),
                ("a", b"", TypeError),
                (b"a", "b", TypeError),
                (b"a", None, TypeError),
            ]:
                with pytest.raises(error):
                    await store.put(key, value)
            with pytest.raises(shardkv.InvalidError):
                await store.put(b"a", b"", ack="sometime")
            with pytest.raises(TypeError, match="item 1"):
                await store.put_many([(b"a", b"1"), (b"b", "2")])
            with pytest.raises(TypeError, match="item 2222"):
                await store.delete_many([*[b"none"] * 2222, "2"])
            with pytest.raises(TypeError, match="limit"):
                store.scan(limit="1")
            with pytest.raises(shardkv.KeyTooLongError):
                await store.get(bytes(501))
            assert (await store.stats()).seqno == 0

    run(main())


def test_many_keys_go_in_chunks_and_other_tasks_run_in_between(run: Run[Any], path: Path) -> None:
    pairs = {b"%06d" % n: b"%d" % n * 20 for n in range(10_000)}

    async def main() -> None:
        turns, over = 0, False

        async def other() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0)

        async with shardkv.aio.open(path, shards=3) as store:
            task = asyncio.create_task(other())
            for step in (
                lambda: store.put_many(pairs, ack="memory"),
                lambda: store.get_many(pairs),
                lambda: store.delete_many(pairs, ack="memory"),
            ):
                before = turns
                answer = await step()
                assert turns >= before + 9
                if isinstance(answer, dict):
                    assert answer == pairs
            assert answer == len(pairs)
            assert await store.delete_many([b"none"]) == 0
            seqno = await store.put_many(iter(pairs.items()), ack="memory")
            assert seqno == 3 * len(pairs)
            assert await store.put_many([]) == seqno
            big = {b"big %d" % n: bytes(1 << 19) for n in range(5)}
            await store.put_many(big)
            assert await store.get_many([b"none", *big]) == big
            over = True
            await task

    run(main())
    assert len(stored(path)) == len(pairs) + 5


def test_a_scan_lets_other_tasks_run_between_blocks(run: Run[Any], path: Path) -> None:
    pairs = {b"%06d" % n: b"%d" % n for n in range(9000)}

    async def main() -> None:
        turns, over = 0, False

        async def other() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0)

        async with shardkv.aio.open(path, shards=3) as store:
            await store.put_many(pairs)
            task = asyncio.create_task(other())
            assert [row async for row in store.scan()] == list(pairs.items())
            assert turns > 8
            over = True
            await task
            assert [key async for key in store.scan(values=False, reverse=True)] == [*pairs][::-1]
            some = [row async for row in store.scan(b"000010", b"000020", limit=3)]
            assert some == [(b"%06d" % n, b"%d" % n) for n in (10, 11, 12)]
            assert [key async for key in store.scan(prefix=b"00899", values=False)] == [
                b"%06d" % n for n in range(8990, 9000)
            ]
            rows = store.scan()
            await store.put(b"later", b"")
            assert len([row async for row in rows]) == len(pairs)
            async for _ in store.scan():
                break

    run(main())


def test_a_batch_is_all_or_nothing(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            await store.put(b"gone", b"")
            async with store.batch() as batch:
                for n in range(100):
                    batch.put(b"%d" % n, b"x")
                batch.delete(b"gone")
                assert await store.get(b"0") is None
            assert batch.seqno == 102
            assert store.durable_seqno() >= 102
            assert await store.count() == 100
            batch = store.batch(ack="memory")
            with contextlib.suppress(RuntimeError):
                async with batch:
                    batch.put(b"never", b"x")
                    raise RuntimeError("on purpose")
            assert not await store.contains(b"never")
            with pytest.raises(shardkv.ClosedError):
                batch.put(b"a", b"b")
            with pytest.raises(TypeError, match="async with"):
                with store.batch():
                    pass

    run(main())


def test_a_snapshot_is_one_cut(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            await store.put_many({b"a": b"1", b"b": b"2"})
            async with store.snapshot() as cut:
                await store.put(b"a", b"new")
                await store.delete(b"b")
                await store.flush()
                assert cut.seqno == 2
                assert await cut.get(b"a") == b"1"
                assert await cut.get(b"none", 3) == 3
                assert await cut.contains(b"b")
                assert await cut.get_many([b"b", b"c"]) == {b"b": b"2"}
                assert [row async for row in cut.scan()] == [(b"a", b"1"), (b"b", b"2")]
                assert [key async for key in cut] == [b"a", b"b"]
            with pytest.raises(shardkv.ClosedError):
                await cut.get(b"a")
            cut = await store.snapshot()
            assert await cut.get(b"a") == b"new"
            await cut.close()

    run(main())


def test_tickets_are_awaited(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            tickets = [await store.submit(b"%d" % n, b"v") for n in range(500)]
            assert [ticket.seqno for ticket in tickets] == list(range(1, 501))
            assert await tickets[-1] == 500
            assert all(ticket.done() for ticket in tickets)
            assert await asyncio.gather(*(ticket.wait(30) for ticket in tickets)) == [
                *range(1, 501)
            ]
            for _ in range(1000):
                late = await store.submit(b"late", bytes(1 << 20))
                try:
                    await late.wait(0)
                except TimeoutError:
                    break
            assert await late == late.seqno
        assert late.done()
        assert await late == late.seqno

    run(main())


def test_sync_and_flush_wait_for_what_was_appended(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            for n in range(1000):
                await store.put(b"%d" % n, b"v", ack="memory")
            await store.sync()
            assert store.durable_seqno() >= 1000
            await store.flush()
            stats = await store.stats()
            assert stats.unflushed_records == 0
            assert sum(shard.records for shard in stats.shards) == 1000
            assert 0 <= await store.shard_of(b"a") < 3

    run(main())


def test_after_closing_everything_says_so(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        await store.put(b"a", b"b")
        batch, cut = store.batch(), await store.snapshot()
        batch.put(b"c", b"d")
        await store.close()
        for call in (
            lambda: store.put(b"a", b"b"),
            lambda: store.put(b"a", b"b", ack="memory"),
            lambda: store.get(b"a"),
            lambda: store.submit(b"a", b"b"),
            lambda: store.delete(b"a"),
            lambda: store.put_many({b"a": b"b"}),
            lambda: store.get_many([b"a"]),
            lambda: store.delete_many([b"a"]),
            lambda: store.sync(),
            lambda: store.flush(),
            lambda: store.stats(),
            lambda: store.count(),
            lambda: store.snapshot(),
            lambda: cut.get(b"a"),
            lambda: batch.__aexit__(None, None, None),
        ):
            with pytest.raises(shardkv.ClosedError):
                await call()
        with pytest.raises(shardkv.ClosedError):
            store.scan()
        with pytest.raises(shardkv.ClosedError):
            store.batch()

    run(main())
    assert stored(path) == {b"a": b"b"}


def test_what_has_expired_is_removed_on_demand(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            await store.put_many(((b"%d" % i, b"v") for i in range(5000)), ttl=3600)
            await store.put(b"brief", b"v", ttl=3600)
            await store.put(b"kept", b"")
            assert await store.purge_expired() == 0
            store._store._engine.shift_clock(3600_000)
            assert await store.get(b"brief") is None
            await store.purge_expired()
            assert await store.count() == 1
            while (await store.stats()).expired_removed < 5001:  # the background counts its own
                await asyncio.sleep(0)
            await store.put(b"brief", b"v", ttl=3600)
            store._store._engine.shift_clock(7200_000)
            await store.clear()
            assert await store.count() == 0

    run(main())
    assert stored(path) == {}


def test_a_ticket_refuses_a_timeout_that_is_no_number(run: Run[Any], path: Path) -> None:
    """A timer of the loop with nan as its time kept others from ringing."""

    async def main() -> None:
        async with shardkv.aio.open(path) as store:
            ticket = await store.submit(b"a", b"b")
            with pytest.raises(shardkv.InvalidError):
                await ticket.wait(float("nan"))
            assert await ticket.wait(1e400) == ticket.seqno

    run(main())


def test_a_lease_that_was_not_to_be_had_says_for_how_long(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path) as store, store.lease("job", 60):
            with pytest.raises(shardkv.LockTimeoutError, match=r"'job', for another \d+"):
                await store.lease("job", 60, timeout=0.05)

    run(main())
