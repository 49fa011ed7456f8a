"""Damage in every copy, but never the same record in all: repaired to the last record."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from . import damage
from .conftest import Family

SPREAD = (
    damage.PAGE // damage.SECTOR
)  # what is hit in a shard is a page; records of the log are shorter


def pieces_of(file: Path) -> list[list[int]]:
    """The sectors of a file, in pieces that share no record."""
    step = SPREAD if file.name == "data.mdb" else 4
    used = damage.used_sectors(file)
    return [list(range(first, min(first + step, used))) for first in range(0, used, step)]


def spread(copies: list[Path], rng: random.Random) -> list[str]:
    """Give each piece of each file to at most one of the equal copies, and damage some of it."""
    told = []
    for file in damage.files_of(copies[0]):
        name = file.relative_to(copies[0])
        pieces = pieces_of(file)
        for piece in rng.sample(pieces, min(len(pieces), rng.randint(0, 4))):
            victim = rng.randrange(len(copies))
            at, how = rng.choice(piece), rng.choice(damage.HITS)
            how(copies[victim] / name, at, rng)
            told.append(f"{victim}: {name} {how.__name__} {at}")
    return told


def test_damage_in_all_copies_of_equal_stores_is_repaired(
    short_family: Family, rng: random.Random, place: Path, scaled: Callable[[int], int]
) -> None:
    for case in range(scaled(60)):
        copies = short_family.copies(rng.choice(("aaa", "bbb")), place / "copies")
        told = spread(copies, rng)
        short_family.judge(copies, place / "mended", f"case {case}: {told}")
