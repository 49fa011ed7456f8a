"""Damage in a shard's page that leads a search astray: no key is absent because of it, and other calls go on."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

import shardkv

from .test_quarantine import overwrite

COUNT = 300


def key_of(n: int) -> bytes:
    return b"key %05d" % n


def make(path: Path) -> None:
    """One shard that has every even number."""
    with shardkv.open(path, shards=1) as store:
        for n in range(0, 2 * COUNT, 2):
            store.put(key_of(n), b"of %05d" % n, ack="memory")


def places_of(path: Path, text: bytes) -> list[int]:
    """Where the file of the shard has some bytes."""
    image, places = path.read_bytes(), [-1]
    while (at := image.find(text, places[-1] + 1)) >= 0:
        places.append(at)
    return places[1:]


def test_a_key_that_is_damaged_itself_does_not_seem_absent(place: Path) -> None:
    """One bit of a key was turned over: get found nothing in its place, and said that there was nothing."""
    path, rng = place / "store", random.Random(5)
    make(path)
    file = path / "shards/0000/data.mdb"
    for _ in range(40):
        n = 2 * rng.randrange(COUNT)
        byte, bit = rng.randrange(3, 9), 1 << rng.randrange(8)
        places = [at + byte for at in places_of(file, key_of(n))]
        was = key_of(n)[byte]
        for at in places:
            overwrite(file, at, was ^ bit)
        with shardkv.open(path, readonly=True) as store:
            with pytest.raises(shardkv.CorruptionError):
                store.get(key_of(n))
            for other in (n - 2, n + 2, 2 * rng.randrange(COUNT)):
                if other not in (-2, n, 2 * COUNT):
                    with contextlib.suppress(shardkv.CorruptionError):
                        assert store.get(key_of(other)) == b"of %05d" % other
        for at in places:
            overwrite(file, at, was)


@pytest.mark.parametrize("near", [0, 1])
def test_who_counts_keys_does_not_keep_a_flush_from_a_damaged_record(
    place: Path, near: int
) -> None:
    """A flush that had to learn which of its keys were there already failed at a damaged one, or beside it, for ever;
    and told so in bytes that nobody had written."""
    path = place / "store"
    make(path)
    file = path / "shards/0000/data.mdb"
    for at in places_of(file, b"of 00200"):
        overwrite(file, at, ord("O"))
    with shardkv.open(path) as store:
        assert len(store) == COUNT
        store[key_of(200 + near)] = b"new"
        if near:  # it would stand beside the damaged one, which may be what is left of it
            with pytest.raises(shardkv.CorruptionError, match=r"shards/0000/data\.mdb.*checksum"):
                len(store)
        else:
            assert len(store) == COUNT
        store.flush()
        assert store.stats().unflushed_records == 0
        assert len(store) == COUNT + near
        assert store[key_of(200 + near)] == b"new"
