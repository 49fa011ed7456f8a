"""Transactions of tasks: serial, all or nothing, cancelled without a trace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run

import shardkv
import shardkv.aio

TASKS = 20


def test_a_transaction_reads_its_cut_and_its_own_writes(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            await store.put_many({b"%04d" % n: b"%d" % n for n in range(3000)})
            async with store.transaction() as t:
                await store.put(b"0000", b"later")
                t.put(b"00005", b"own")
                t.delete(b"0001")
                assert await t.get(b"0000") == b"0"
                assert await t.get(b"none", 7) == 7
                assert not await t.contains(b"0001")
                assert await t.get_many([b"0001", b"0002"]) == {b"0002": b"2"}
                rows = [row async for row in t.scan(b"0001")]
                assert len(rows) == 2998
                assert [key async for key in t][:2] == [b"0000", b"00005"]
                t._work.reads = type(
                    t._work.reads
                )()  # what was read has changed: write all the same
            assert t.seqno == (await store.stats()).seqno
            assert await store.get(b"00005") == b"own"

    run(main())


def test_tasks_that_count_lose_nothing(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:

            async def add_one(t: shardkv.aio.Transaction) -> int:
                value = int(await t.get(b"n", b"0"))
                await asyncio.sleep(0)
                t.put(b"n", b"%d" % (value + 1))
                return value

            given = await asyncio.gather(
                *(store.run_transaction(add_one, retries=1000) for _ in range(TASKS))
            )
            assert sorted(given) == list(range(TASKS))
            assert await store.get(b"n") == b"%d" % TASKS

    run(main())


def test_a_phantom_is_a_conflict_that_is_told_when_it_is_durable(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            t = store.transaction()
            with pytest.raises(shardkv.ConflictError) as caught:
                await phantom(store, t)
            stats = await store.stats()
            assert caught.value.version <= stats.durable_seqno
            assert b"result" not in await store.get_many([b"result"])
            with pytest.raises(shardkv.ConflictError) as caught:
                await asyncio.gather(
                    store.submit(b"key", b"1"), store.put(b"key", b"2", if_version=1 << 40)
                )
            assert caught.value.version <= (await store.stats()).durable_seqno

    async def phantom(store: shardkv.aio.Store, t: shardkv.aio.Transaction) -> None:
        async with t:
            assert [key async for key in t] == []
            await store.submit(b"phantom", b"")
            t.put(b"result", b"")

    run(main())


def test_a_cancelled_transaction_leaves_no_trace(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            for _ in range(TASKS):
                task = asyncio.create_task(store.run_transaction(forever))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await store.count() == 0
            assert (await store.stats()).snapshots == ()
            assert store._store._shared.transactions == {}

    async def forever(t: shardkv.aio.Transaction) -> None:
        t.put(b"never", b"")
        await asyncio.Event().wait()

    run(main())


def test_transactions_of_one_task_do_not_nest_and_belong_to_it(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store, store.transaction() as t:
            with pytest.raises(shardkv.InvalidError, match="do not nest"):
                await store.run_transaction(lambda t: None)
            with pytest.raises(shardkv.InvalidError, match="another thread or task"):
                await asyncio.create_task(t.get(b"key"))
            t.put(b"key", b"")
        with pytest.raises(shardkv.ClosedError):
            await t.get(b"key")

    run(main())


def test_who_enters_a_transaction_again_does_not_end_it(run: Run[Any], path: Path) -> None:
    """Another task's try, refused, took the cut away from the one that was at work."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            async with store.transaction() as t:
                t.put(b"a", b"1")
                for again in (t.__aenter__(), asyncio.create_task(t.__aenter__())):
                    with pytest.raises(shardkv.ClosedError, match="begin a new one"):
                        await again
                t.put(b"b", b"2")
            assert await store.get_many([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}

    run(main())


def test_a_transaction_spans_namespaces(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            people, ages = await store.namespace("people"), await store.namespace("ages")
            await people.put("ann", {"name": "Ann"})

            async def work(t: shardkv.aio.Transaction) -> str:
                names, numbers = people.using(t), ages.using(t)
                numbers.put("ann", 40)
                assert [row async for row in names.scan()] == [("ann", {"name": "Ann"})]
                return str((await names.get("ann"))["name"])

            assert await store.run_transaction(work) == "Ann"
            assert await ages.get("ann") == 40
            async with ages.transaction() as own:
                own.put("bob", 1 + await own.get("ann"))
                assert [key async for key in own] == ["ann", "bob"]
            assert own.seqno
            assert await ages.run_transaction(lambda t: t.get("bob")) == 41

    run(main())
