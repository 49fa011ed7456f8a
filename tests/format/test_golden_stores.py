"""Stores that released formats wrote still open and hold what they held."""

from __future__ import annotations

import struct
import tarfile
from bisect import bisect_left
from pathlib import Path

import pytest
import xxhash
from format.golden import NUMBERS, TYPED, content

import shardkv

GOLDEN = sorted(Path(__file__).parent.glob("v*.tar.gz"))


def unpack(archive: Path, target: Path) -> Path:
    with tarfile.open(archive) as files:
        files.extractall(target, filter="data")
    return target


def circle(weights: list[int]) -> list[tuple[int, int]]:
    """All points of the ring with their shards, as FORMAT.md section 9 describes them."""
    return sorted(
        (xxhash.xxh64_intdigest(struct.pack("<II", shard, i), 0x736861726B76), shard)
        for shard, weight in enumerate(weights)
        for i in range(4096 * weight)
    )


def test_there_is_a_golden_store_of_this_format() -> None:
    assert [archive.name for archive in GOLDEN] == ["v1.tar.gz"]


@pytest.mark.parametrize("archive", GOLDEN, ids=lambda archive: archive.name)
def test_a_golden_store_opens_and_holds_what_it_held(archive: Path, tmp_path: Path) -> None:
    path = unpack(archive, tmp_path / "store")
    for _ in range(2):
        with shardkv.open(path, segment_bytes=(65536, 65536)) as store:
            assert dict(store.scan()) == content()
            assert len(store) == len(content())
            assert {key: store[key] for key in content()} == content()


@pytest.mark.parametrize("archive", GOLDEN, ids=lambda archive: archive.name)
def test_namespaces_and_leases_of_a_golden_store_are_as_they_were(
    archive: Path, tmp_path: Path
) -> None:
    path = unpack(archive, tmp_path / "store")
    for token in (2, 3):
        with shardkv.open(path, segment_bytes=(65536, 65536)) as store:
            assert store.namespaces() == ["numbers", "typed"]
            assert list(store.namespace("typed").items()) == list(TYPED.items())
            numbers = store.namespace("numbers", codec="json", key_codec="int")
            assert list(numbers.items()) == list(NUMBERS.items())
            with store.lease("job", 1) as lease:
                assert lease.token == token


@pytest.mark.parametrize("archive", GOLDEN, ids=lambda archive: archive.name)
def test_keys_of_a_golden_store_are_where_they_were(archive: Path, tmp_path: Path) -> None:
    """The ring is part of the format: a release that places keys elsewhere would not find them."""
    path = unpack(archive, tmp_path / "store")
    points = circle([1, 2, 1])
    with shardkv.open(path, segment_bytes=(65536, 65536)) as store:
        for key in content():
            at = bisect_left(points, (xxhash.xxh64_intdigest(key), 0)) % len(points)
            assert store.shard_of(key) == points[at][1]
