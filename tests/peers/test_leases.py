"""Leases of a store with peers: who takes its place must not grant a token that somebody has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from peers.families import Away

import shardkv
import shardkv.aio


@pytest.fixture
def family(tmp_path: Path) -> tuple[Path, Path]:
    """Return a primary of three directories, and one of its peers."""
    a, b, c = (tmp_path / name for name in "abc")
    shardkv.open(a, peers=[b, c], shards=1).close()
    return a, c


def test_a_lease_is_granted_where_the_store_acks(family: tuple[Path, Path]) -> None:
    """It was granted as soon as it was on one disk, however many the store's writes wait for."""
    a, c = family
    with Away(c), shardkv.open(a, ack="all") as store:
        for _ in range(2):  # nobody has it
            with pytest.raises(shardkv.AckError):
                store.lease("job", 3600)
    with shardkv.open(a) as store:
        assert store.lease("job", 60).token == 3


def test_a_lease_is_awaited_where_the_store_acks(family: tuple[Path, Path]) -> None:
    a, c = family

    async def main() -> None:
        async with shardkv.aio.open(a, ack="all") as store:
            for _ in range(2):
                with pytest.raises(shardkv.AckError):
                    await store.lease("job", 3600)

    with Away(c):
        asyncio.run(main())
    with shardkv.open(a) as store:
        assert store.lease("job", 60).token == 3
