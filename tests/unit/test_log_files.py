"""The log's files as others see them: filled with zeros before use, reused without changing size."""

from __future__ import annotations

from pathlib import Path

import pytest

import shardkv

MIB = 1 << 20
SMALL = {"segment_bytes": (MIB, MIB), "unflushed_bytes": MIB}


def segments(store: Path) -> list[Path]:
    return sorted((store / "log").glob("*.log"))


def blocks(path: Path) -> int:
    """Return how many bytes of disk a file has."""
    return path.stat().st_blocks * 512


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A directory on a file system that gives written zeros their blocks."""
    (tmp_path / "zeros").write_bytes(bytes(MIB))
    if blocks(tmp_path / "zeros") < MIB:
        pytest.skip("this file system keeps no blocks for zeros")
    return tmp_path


def test_a_segment_has_all_its_blocks_before_it_is_used(filled: Path) -> None:
    """A sync of a file with holes also writes the file system's own journal: twice the time."""
    with shardkv.open(filled / "store", shards=1, **SMALL) as store:
        for number in range(12):
            store.put(b"%d" % number, bytes(200_000))
            for path in segments(filled / "store"):
                # A file that is being made is not counted on yet; it has no block or grows to all.
                if path.stat().st_size == MIB and path.read_bytes()[:8] == b"SKVLOGSG":
                    assert blocks(path) >= MIB, path


def test_a_segment_is_used_again_and_keeps_its_size(tmp_path: Path) -> None:
    seen: set[str] = set()
    with shardkv.open(tmp_path / "store", shards=1, **SMALL) as store:
        for number in range(60):
            store.put(b"%d" % (number % 3), bytes(300_000))
            if number % 5 == 4:
                store.flush()
            seen |= {path.name for path in segments(tmp_path / "store")}
        written = store.stats().log.synced_bytes
    assert written > 15 * MIB
    assert len(seen) < written / MIB / 2, "files were made anew instead of used again"
    assert all(path.stat().st_size == MIB for path in segments(tmp_path / "store"))


def test_segments_are_cut_by_the_budget(tmp_path: Path) -> None:
    """The log is about as large as the budget, and comes and goes in whole segments."""
    for budget, largest in (
        (MIB, 4 * MIB),
        (96 * MIB, 4 * MIB),
        (256 * MIB, 16 * MIB),
        (4 << 30, 64 * MIB),
    ):
        with shardkv.open(tmp_path / str(budget), shards=1, unflushed_bytes=budget) as store:
            assert store._engine.options.segment_bytes == (4 * MIB, largest)
        with shardkv.open(tmp_path / str(budget)) as store:
            assert store._engine.options.segment_bytes == (4 * MIB, largest), (
                "the store knows its budget"
            )
    with shardkv.open(tmp_path / "asked", shards=1, **SMALL) as store:
        assert store._engine.options.segment_bytes == (MIB, MIB)


def test_a_flush_finds_the_pages_that_the_one_before_has_freed(tmp_path: Path) -> None:
    """Every flush writes all leaves anew; two states of them are kept, not three."""
    keys = [b"%06d" % number for number in range(20_000)]
    with shardkv.open(tmp_path / "store", shards=1) as store:
        for generation in range(6):
            store.put_many(dict.fromkeys(keys, b"%d" % generation * 100))
            store.flush()
            if generation == 0:
                first = store.stats().shards[0].file_bytes
        assert store.stats().shards[0].file_bytes < 2.5 * first
        used = blocks(next((tmp_path / "store" / "shards").rglob("data.mdb")))
        assert used < 4 * first, "no space was reserved beside pages that are free"
