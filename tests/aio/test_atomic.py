"""Atomic calls, leases and locks from a thousand tasks at once: exact, and nobody blocks the loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run

import shardkv
import shardkv.aio


def test_a_thousand_tasks_count_on_one_key(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            sums = await asyncio.gather(*(store.incr(b"hits") for _ in range(1000)))
            assert sorted(sums) == list(range(1, 1001))
            assert await store.get(b"hits") == b"1000"
            assert await store.incr(b"hits", -1, ack="memory") == 999
            entry = await store.get_entry(b"hits")
            assert entry is not None
            assert (entry.value, entry.version) == (b"999", 1001)
            with pytest.raises(shardkv.InvalidError):
                await store.incr(b"hits", 1 << 63)

    run(main())


def test_of_many_who_add_or_swap_one_wins(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            added = await asyncio.gather(*(store.add(b"k", b"%d" % n) for n in range(200)))
            assert sum(added) == 1
            version = (await store.get_entry(b"k")).version
            swaps = (store.cas(b"k", b"%d" % n, version) for n in range(200))
            assert sum(await asyncio.gather(*swaps)) == 1
            with pytest.raises(shardkv.ConflictError) as caught:
                await store.put(b"k", b"x", if_version=version)
            assert await store.put(b"k", b"x", if_version=caught.value.version)
            assert await store.touch(b"k", 100)
            assert 0 < await store.ttl(b"k") <= 100
            assert await store.persist(b"k")
            assert await store.ttl(b"k") is None
            with pytest.raises(KeyError):
                await store.ttl(b"none")

    run(main())


def test_a_refused_add_is_told_once_what_refused_it_is_durable(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            for turn in range(50):
                key = b"%d" % turn
                ticket = await store.submit(key, b"first")
                assert not await store.add(key, b"second")
                assert ticket.done()
                ticket = await store.submit(key, b"third")
                assert not await store.cas(key, b"x", 1 << 40, ack="memory")
                assert ticket.done()

    run(main())


def test_an_absence_that_is_an_error_is_told_once_it_is_durable(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            for turn in range(50):
                await store.put(b"k", b"%d" % turn)
                gone = asyncio.create_task(store.delete(b"k"))
                await asyncio.sleep(0)
                with pytest.raises(KeyError):
                    await store.ttl(b"k")
                assert store.durable_seqno() == 2 * turn + 2
                assert await gone

    run(main())


def test_get_or_set_makes_a_missing_value_once(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            calls = 0

            async def make() -> bytes:
                nonlocal calls
                calls += 1
                for _ in range(5):
                    await asyncio.sleep(0)
                if calls == 1:
                    raise KeyError("the first fails")
                return b"made"

            got = await asyncio.gather(
                *(store.get_or_set(b"k", make) for _ in range(100)), return_exceptions=True
            )
            assert calls == 2
            assert [type(answer) for answer in got].count(KeyError) == 1
            assert got.count(b"made") == 99
            assert await store.get_or_set(b"plain", lambda: b"function", ttl=100) == b"function"
            assert await store.ttl(b"plain") is not None

    run(main())


def test_get_or_set_returns_what_is_stored_to_each_its_own(run: Run[Any], path: Path) -> None:
    """All who waited for one list were given that very list; a bytearray came back as one."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            made = [1, (2,)]
            names = await store.namespace("names")
            got = await asyncio.gather(*(names.get_or_set("k", lambda: made) for _ in range(3)))
            got.append(made)
            assert got == [[1, (2,)]] * 4
            assert len(set(map(id, got))) == 4
            assert type(await store.get_or_set(b"k", lambda: bytearray(b"v"))) is bytes
            calls: list[int] = []
            wrong: Any = "soon"
            with pytest.raises(TypeError, match="ttl must be"):
                await store.get_or_set(b"new", lambda: calls.append(1), wrong)
            with pytest.raises(shardkv.InvalidError, match="ack is 'soon'"):
                await names.get_or_set("new", lambda: calls.append(1), ack=wrong)
            assert not calls, "what is refused anyway was made"

    run(main())


def test_get_or_set_refuses_to_wait_for_itself(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:

            async def own() -> Any:
                return await store.get_or_set(b"own", own)

            with pytest.raises(shardkv.LockOwnerError):
                await store.get_or_set(b"own", own)

            async def cross(mine: bytes, other: bytes) -> Any:
                async def ask() -> Any:
                    await asyncio.sleep(0)
                    return await store.get_or_set(other, lambda: b"v")

                return await store.get_or_set(mine, ask)

            both = await asyncio.gather(
                cross(b"x", b"y"), cross(b"y", b"x"), return_exceptions=True
            )
            assert shardkv.LockOwnerError in [type(answer) for answer in both]

    run(main())


def test_a_cancelled_maker_leaves_it_to_the_next(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            never = asyncio.get_running_loop().create_future()

            async def hang() -> bytes:
                await never
                return b"never"

            first = asyncio.create_task(store.get_or_set(b"k", hang))
            await asyncio.sleep(0)
            second = asyncio.create_task(store.get_or_set(b"k", lambda: b"second"))
            third = asyncio.create_task(store.get_or_set(b"k", lambda: b"third"))
            await asyncio.sleep(0)
            third.cancel()
            first.cancel()
            assert await second == b"second"
            assert await store.get(b"k") == b"second"

    run(main())


def test_locks_exclude_tasks_and_threads(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            await store.put(b"n", b"0", ack="memory")

            async def count() -> None:
                async with store.lock(b"n", timeout=30):
                    number = int(await store.get(b"n"))
                    await asyncio.sleep(0)
                    await store.put(b"n", b"%d" % (number + 1), ack="memory")

            def count_here() -> None:
                with shardkv.open(path) as mine:
                    for _ in range(50):
                        with mine.lock(b"n", timeout=30):
                            mine.put(b"n", b"%d" % (int(mine[b"n"]) + 1), ack="memory")

            thread = threading.Thread(target=count_here)
            thread.start()
            await asyncio.gather(*(count() for _ in range(200)))
            await asyncio.to_thread(thread.join)
            assert await store.get(b"n") == b"250"
            async with store.locks([b"a", b"b"]):
                pass

    run(main())


def test_a_lease_is_waited_for_without_blocking(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            async with store.lease("job", 60) as lease:
                assert lease.token == 1
                assert await lease.held()
                with pytest.raises(shardkv.LockTimeoutError):
                    await store.lease("job", 60)
                waiter = asyncio.create_task(store.lease("job", 60, timeout=30).__aenter__())
                await asyncio.sleep(0)
                assert not waiter.done()
                assert await lease.renew(90) == lease.expires_at
            second = await waiter
            assert second.token == 2
            await second.release()
            with pytest.raises(shardkv.LeaseLostError):
                await lease.renew()
            with pytest.raises(TypeError):
                await store.lease("job", "60")

    run(main())


def test_who_is_cancelled_while_taking_a_lease_has_none(run: Run[Any], path: Path) -> None:
    """It was nobody's until it ended."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            for turns in range(4):
                taker = asyncio.create_task(store.lease("job", 3600).__aenter__())
                for _ in range(turns):
                    await asyncio.sleep(0)
                taker.cancel()
                await asyncio.wait([taker])
                if taker.cancelled():
                    await (await store.lease("job", 60)).release()
                else:
                    await taker.result().release()

    run(main())
