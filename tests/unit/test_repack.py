"""A flush that falls on nearly every page of a shard writes the shard anew, packed full, and changes nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import lmdb
import pytest

import shardkv

SHARDS = 2
# Around the key of the shard's own record, which is zeros: before it, behind it, and the ends of the order.
EDGES = (b"\0", bytes(300), bytes(300) + b"\1", b"\1", b"\xfe" * 400)


def fill(
    store: shardkv.Store, rng: random.Random, count: int, size: int = 100
) -> dict[bytes, bytes]:
    rows = {rng.randbytes(16): rng.randbytes(size) for _ in range(count)}
    store.put_many(rows)
    return rows


def file_bytes(store: shardkv.Store) -> int:
    return sum(shard.file_bytes for shard in store.stats().shards)


def leaf_pages(path: Path) -> int:
    """Pages that hold records, in all shards of a closed store."""
    total = 0
    for place in sorted((path / "shards").iterdir()):
        with lmdb.open(str(place), readonly=True, lock=False) as env:
            total += env.stat()["leaf_pages"]
    return total


def test_puts_replacements_and_deletes_are_merged_in_order(
    tmp_path: Path, rng: random.Random
) -> None:
    path = tmp_path / "store"
    with shardkv.open(path, shards=SHARDS) as store:
        rows = fill(store, rng, 2_000)
        store.flush()
        for turn in range(6):
            rows |= fill(store, rng, 300)
            for key in rng.sample(sorted(rows), 200):
                store.put(key, rows[key] + b"again")
                rows[key] += b"again"
            for key in rng.sample(sorted(rows), 150):
                store.delete(key)
                del rows[key]
            for key in rng.sample(EDGES, 3):
                rows[key] = b"edge %d" % turn
                store.put(key, rows[key])
            for key in rng.sample(EDGES, 2):
                rows.pop(key, None)
                store.pop(key, None)
            store.flush()
            assert [*store.scan()] == sorted(rows.items())
            assert len(store) == len(rows)
            assert store.get_many([*rows]) == rows
    assert shardkv.check(path).findings == ()
    with shardkv.open(path) as store:
        assert dict(store.scan()) == rows


def test_pages_are_full(tmp_path: Path, rng: random.Random) -> None:
    path, count = tmp_path / "store", 0
    with shardkv.open(path, shards=SHARDS) as store:
        for _ in range(6):
            count += len(fill(store, rng, 1_500))
            store.flush()
    # 29 of these records fill a page; inserted in between each other they leave it two thirds full.
    assert leaf_pages(path) < 1.05 * count / 29


def test_few_records_change_few_pages(tmp_path: Path, rng: random.Random) -> None:
    path = tmp_path / "store"
    with shardkv.open(path, shards=SHARDS) as store:
        fill(store, rng, 20_000)
        store.flush()
        before = file_bytes(store)
        fill(store, rng, 20)
        store.flush()
        assert file_bytes(store) < 1.3 * before


def test_records_that_share_a_page_with_few_others_leave_most_pages_alone(
    tmp_path: Path, rng: random.Random
) -> None:
    """An eighth of the records, three on a page: two thirds of the pages stay as they are."""
    path = tmp_path / "store"
    with shardkv.open(path, shards=SHARDS) as store:
        fill(store, rng, 8_000, size=1_000)
        store.flush()
        before = file_bytes(store)
        fill(store, rng, 1_000, size=1_000)
        store.flush()
        assert file_bytes(store) < 1.7 * before


def test_values_with_pages_of_their_own_are_not_written_again(
    tmp_path: Path, rng: random.Random
) -> None:
    path = tmp_path / "store"
    with shardkv.open(path, shards=SHARDS) as store:
        fill(store, rng, 400, size=20_000)
        fill(store, rng, 1_000)
        store.flush()
        before = file_bytes(store)
        fill(store, rng, 500)
        store.flush()
        assert file_bytes(store) < 1.2 * before


def test_a_snapshot_keeps_what_it_saw(tmp_path: Path, rng: random.Random) -> None:
    with shardkv.open(tmp_path / "store", shards=SHARDS) as store:
        rows = fill(store, rng, 2_000)
        store.flush()
        with store.snapshot() as snapshot:
            for _ in range(3):
                for key in rng.sample(sorted(rows), 1_000):
                    store.put(key, b"new")
                store.flush()
            assert dict(snapshot.scan()) == rows


def test_expiry_and_namespaces_come_along(tmp_path: Path, rng: random.Random) -> None:
    path = tmp_path / "store"
    with shardkv.open(path, shards=SHARDS) as store:
        names = store.namespace("people", codec="msgpack")
        fill(store, rng, 2_000)
        for number in range(500):
            names[str(number)] = {"n": number}
            store.put(b"soon/%d" % number, b"v", ttl=3600)
        store.flush()
        fill(store, rng, 1_000)
        store.flush()
        assert names["77"] == {"n": 77}
        entry = store.get_entry(b"soon/5")
        assert entry is not None
        assert entry.expires_at
    assert shardkv.check(path).findings == ()


def turn_over(path: Path, key: bytes) -> tuple[Path, bytes]:
    """Flip the first byte of a key where it stands in a shard; return the file, and what was in it before."""
    for file in sorted((path / "shards").rglob("data.mdb")):
        image = file.read_bytes()
        if key in image:
            file.write_bytes(image.replace(key, bytes([key[0] ^ 0xFF]) + key[1:]))
            return file, image
    raise AssertionError(key)


def test_a_shard_out_of_order_is_not_packed_anew(tmp_path: Path, rng: random.Random) -> None:
    path = tmp_path / "store"
    with shardkv.open(path, shards=1) as store:
        rows = fill(store, rng, 2_000)
        store.flush()
    file, image = turn_over(path, sorted(rows)[1_000])
    store = shardkv.open(path)
    rows |= fill(store, rng, 1_000)
    with pytest.raises(shardkv.CorruptionError, match="wrong place"):
        store.flush()
    store.close(flush=False)
    file.write_bytes(image)
    with shardkv.open(path) as store:
        store.flush()
        assert dict(store.scan()) == rows
