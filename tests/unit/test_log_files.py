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
