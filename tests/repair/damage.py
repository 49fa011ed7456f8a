"""Ways to damage a file: each hits the sectors that it says, and no others."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

SECTOR = 512
PAGE = 4096


def flip(path: Path, at: int, rng: random.Random) -> None:
    """One bit of a sector."""
    image = bytearray(path.read_bytes())
    image[rng.randrange(at * SECTOR, min((at + 1) * SECTOR, len(image)))] ^= 1 << rng.randrange(8)
    path.write_bytes(image)


def zero(path: Path, at: int, rng: random.Random) -> None:
    image = bytearray(path.read_bytes())
    there = image[at * SECTOR : (at + 1) * SECTOR]
    image[at * SECTOR : (at + 1) * SECTOR] = bytes(len(there))
    path.write_bytes(image)


def garble(path: Path, at: int, rng: random.Random) -> None:
    image = bytearray(path.read_bytes())
    there = image[at * SECTOR : (at + 1) * SECTOR]
    image[at * SECTOR : (at + 1) * SECTOR] = rng.randbytes(len(there))
    path.write_bytes(image)


def swap(path: Path, at: int, other: int) -> None:
    """Two sectors change places."""
    image = bytearray(path.read_bytes())
    a, b = slice(at * SECTOR, (at + 1) * SECTOR), slice(other * SECTOR, (other + 1) * SECTOR)
    image[a], image[b] = image[b], image[a]
    path.write_bytes(image)


def cut(path: Path, at: int) -> None:
    """The file ends at a sector."""
    path.write_bytes(path.read_bytes()[: at * SECTOR])


HITS: tuple[Callable[[Path, int, random.Random], None], ...] = (flip, flip, zero, garble)


def files_of(store: Path) -> list[Path]:
    """All that a store's data consists of."""
    return sorted(
        path
        for path in store.rglob("*")
        if path.is_file() and path.name not in ("LOCK", "lock.mdb") and path.stat().st_size
    )


def used_sectors(path: Path) -> int:
    """Sectors up to the last one with anything in it."""
    return max(1, -(-len(path.read_bytes().rstrip(b"\0")) // SECTOR))
