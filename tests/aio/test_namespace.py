"""Namespaces, awaited: typed, apart from all others, with the promises of the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run

import shardkv
import shardkv.aio


def test_keys_and_values_are_typed(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            users = await store.namespace("users")
            assert await users.put("ada", {"n": 1}) > 0
            assert await users.get("ada") == {"n": 1}
            assert await users.get("none", 3) == 3
            assert await users.contains("ada")
            await users.put("nothing", None)
            assert await users.get("nothing", 3) is None
            assert await users.pop("nothing") is None
            with pytest.raises(KeyError):
                await users.pop("nothing")
            assert await users.incr("hits", 5) == 5
            assert (await users.get_entry("hits")).value == 5
            assert await users.add(("a", 1), [1, 2])
            assert not await users.cas(("a", 1), [], 1 << 40)
            assert await users.get_or_set("made", lambda: {"fn": True}) == {"fn": True}
            assert await users.setdefault("made", 1) == {"fn": True}
            assert await users.touch("made", 60)
            assert 0 < await users.ttl("made") <= 60
            ticket = await users.submit("late", 1)
            assert await ticket == ticket.seqno
            assert await users.delete("late")
            assert await users.count() == 4
            assert [key async for key in users] == ["ada", "hits", "made", ("a", 1)]
            assert await store.count() == 0
            with pytest.raises(TypeError, match="set"):
                await users.put("bad", {"x": {1}})
            assert (users.name, users.codec, users.key_codec) == ("users", "msgpack", "auto")

    run(main())


def test_many_keys_scans_and_cuts(run: Run[Any], path: Path) -> None:
    pairs = {("t", n): n for n in range(3000)}

    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            space = await store.namespace("n", codec="json")
            await space.put_many(pairs)
            assert await space.get_many([*pairs, ("none",)]) == pairs
            assert [row async for row in space.scan()] == list(pairs.items())
            found = [key async for key in space.scan(("t", 5), ("t", 9), values=False)]
            assert found == [("t", n) for n in range(5, 9)]
            async with space.snapshot() as cut, store.snapshot() as whole:
                view = space.using(whole)
                assert await space.delete_many(pairs) == 3000
                for shown in (cut, view):
                    assert await shown.get(("t", 1)) == 1
                    assert await shown.contains(("t", 2))
                    assert await shown.get_many([("t", 3)]) == {("t", 3): 3}
                    assert len([key async for key in shown]) == 3000
            assert await space.count() == 0
            await space.put_many({n: n for n in range(2500)})
            await space.clear()
            assert await space.count() == 0

    run(main())


def test_one_batch_spans_namespaces(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            one, other = await store.namespace("one"), await store.namespace("other")
            async with store.batch() as batch:
                one.using(batch).put("k", 1)
                other.using(batch).put("k", 2)
                batch.put(b"raw", b"3")
            assert [await one.get("k"), await other.get("k")] == [1, 2]
            async with one.batch() as own:
                own.put("own", 1)
                own.delete("k")
            assert own.seqno
            assert [key async for key in one] == ["own"]
            with pytest.raises(TypeError):
                one.using(7)
            async with shardkv.aio.open(path.with_name("foreign"), shards=1) as foreign:
                async with foreign.snapshot() as cut:
                    with pytest.raises(shardkv.InvalidError):
                        one.using(cut)
                with pytest.raises(shardkv.InvalidError):
                    one.using(foreign.batch())

    run(main())


def test_namespaces_are_listed_dropped_and_checked(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            space = await store.namespace("a", codec="json")
            await store.namespace("b")
            assert await store.namespaces() == ["a", "b"]
            with pytest.raises(shardkv.InvalidError, match="json"):
                await store.namespace("a")
            await space.put("k", 1)
            assert await store.drop_namespace("a")
            assert not await store.drop_namespace("a")
            with pytest.raises(shardkv.ClosedError):
                await space.get("k")
            kept = await store.namespace("b")
        with pytest.raises(shardkv.ClosedError):
            await kept.put("k", 1)
        with pytest.raises(shardkv.ClosedError):
            await kept.get("k")

    run(main())


def test_a_reader_in_a_namespace_waits_for_the_sync(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            space = await store.namespace("n")
            for turn in range(50):
                ticket = await space.submit("k", turn)
                assert await space.get("k") == turn
                assert ticket.done()
                ticket = await space.submit("k", turn)
                assert await space.contains("k")
                assert ticket.done()
            sums = await asyncio.gather(*(space.incr("n") for _ in range(500)))
            assert sorted(sums) == list(range(1, 501))
            async with space.lock("k"), space.locks(["x", "y"]):
                pass

    run(main())
