"""The same names: what a synchronous object can, the awaited one can, and says so in the same words."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run

import shardkv
import shardkv.aio

# Names that only a mapping has: nothing can be awaited in them, or put_many says it better.
OF_MAPPINGS = {"items", "keys", "values", "popitem", "update"}
KINDS = ["Store", "Namespace", "Snapshot", "Batch", "Ticket", "Watch", "Lease", "Transaction"]


def public(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_there(kind: str) -> None:
    here, there = getattr(shardkv.aio, kind), getattr(shardkv, kind)
    assert public(there) - public(here) - OF_MAPPINGS == set()


@pytest.mark.parametrize("kind", ["Store", "Namespace"])
def test_methods_take_what_the_synchronous_ones_take(kind: str) -> None:
    here, there = getattr(shardkv.aio, kind), getattr(shardkv, kind)
    for name in public(here) & public(there):
        if callable(getattr(there, name)):
            mine = inspect.signature(getattr(here, name)).parameters
            assert list(mine) == list(inspect.signature(getattr(there, name)).parameters), name


def test_upkeep_is_awaited(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=2) as store:
            settings = await store.configure(max_writes_per_s=100_000)
            assert settings.max_writes_per_s == 100_000
            await store.put(b"old", b"", ttl=0.001)
            assert await store.setdefault(b"new", b"1") == b"1"
            assert await store.setdefault(b"new", b"2") == b"1"
            assert await store.purge_expired() <= 1
            await store.put_many({b"%d" % n: b"" for n in range(3000)})
            await store.clear()
            assert await store.count() == 0

    run(main())


def test_a_limit_of_writes_makes_tasks_wait_their_turn(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1, write_timeout=0.2) as store:
            await store.configure(max_writes_per_s=100)
            puts = (store.put(b"%d" % n, b"") for n in range(100))
            answers = await asyncio.gather(*puts, return_exceptions=True)
            refused = [a for a in answers if isinstance(a, shardkv.OverloadedError)]
            acked = [a for a in answers if isinstance(a, int)]
            assert len(refused) + len(acked) == 100
            assert refused
            assert acked == sorted(acked), "served in the order in which they came"
            assert (await store.stats()).seqno == len(acked), "what was refused was not written"

    run(main())


def test_a_backup_is_awaited_beside_writes(run: Run[Any], path: Path, tmp_path: Path) -> None:
    async def main() -> int:
        async with shardkv.aio.open(path, shards=2) as store:
            await store.put(b"before", b"")
            backup = asyncio.ensure_future(store.backup(tmp_path / "copy"))
            await asyncio.gather(*(store.put(b"%d" % n, b"") for n in range(100)))
            return (await backup).seqno

    seqno = run(main())
    with shardkv.open(tmp_path / "copy") as copy:
        assert b"before" in copy
        assert len(copy) == copy.stats().seqno == seqno
