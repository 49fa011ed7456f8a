"""Damage in every copy, but never the same record in all: repaired to the last record."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

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
        for piece in rng.sample(pieces, min(len(pieces), rng.randint(0, 20))):
            victim = rng.randrange(len(copies))
            at, how = rng.choice(piece), rng.choice(damage.HITS)
            how(copies[victim] / name, at, rng)
            told.append(f"{victim}: {name} {how.__name__} {at}")
    return told


@pytest.mark.parametrize("cases", [100, pytest.param(4000, marks=pytest.mark.slow)])
def test_damage_in_all_copies_of_equal_stores_is_repaired(
    short_family: Family, rng: random.Random, place: Path, cases: int
) -> None:
    needed = False  # each copy was, since all of them had lost something
    for case in range(cases):
        copies = short_family.copies(rng.choice(("aaa", "bbb")), place / "copies")
        told = spread(copies, rng)
        needed = needed or all(short_family.needs_others(path, place / "alone") for path in copies)
        short_family.judge(copies, place / "mended", f"case {case}: {told}")
    assert needed


def spoil_keys(path: Path, keys: list[bytes]) -> None:
    """Turn over a bit in the value of each record of these keys, in shards and log."""
    for file in (*path.glob("shards/*/data.mdb"), *path.glob("log/*.log")):
        image = bytearray(file.read_bytes())
        gap = 12 if file.name == "data.mdb" else 0
        for key in keys:
            at = image.find(key)
            while at >= 0:
                image[at + len(key) + gap] ^= 1
                at = image.find(key, at + 1)
        file.write_bytes(image)


@pytest.mark.parametrize("cases", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_copies_that_were_flushed_at_different_times_mend_each_other(
    short_family: Family, rng: random.Random, place: Path, cases: int
) -> None:
    """What one has in its shard another has in its log; what one has deleted another still has."""
    for case in range(cases):
        copies = short_family.copies(rng.choice(("ab", "ba", "abb", "aba")), place / "copies")
        keys = rng.sample(sorted(key for key in short_family.rows if key.startswith(b"key")), 9)
        for number, path in enumerate(copies):
            spoil_keys(path, keys[3 * number : 3 * number + 3])
        assert case or all(short_family.needs_others(path, place / "alone") for path in copies)
        short_family.judge(copies, place / "mended", f"case {case}: {keys}")


def lose_branches(path: Path) -> int:
    """Zero every page of a shard's trees that is no leaf."""
    lost = 0
    for file in path.glob("shards/*/data.mdb"):
        image = bytearray(file.read_bytes())
        for at in range(2 * damage.PAGE, len(image), damage.PAGE):
            if int.from_bytes(image[at + 10 : at + 12], "little") == 1:
                image[at : at + damage.PAGE] = bytes(damage.PAGE)
                lost += 1
        file.write_bytes(image)
    return lost


def test_leaves_are_found_without_their_trees(short_family: Family, place: Path) -> None:
    """In every copy, and with a record of each damaged, so that none of them is whole."""
    for names in ("aa", "bb", "ab"):
        copies = short_family.copies(names, place / "copies")
        for number, path in enumerate(copies):
            assert lose_branches(path) >= 2
            spoil_keys(path, [b"key 0012%d" % (2 * number + 1), b"key 0013%d" % (2 * number + 1)])
        short_family.judge(copies, place / "mended", names)


def test_a_lost_page_comes_from_an_older_copy_and_the_log_since(
    short_family: Family, place: Path
) -> None:
    """The older one still has what was deleted since; the log says that it was."""
    older, newer = copies = short_family.copies("ab", place / "copies")
    gone = b""
    for file in newer.glob("shards/*/data.mdb"):
        image = bytearray(file.read_bytes())
        for at in range(2 * damage.PAGE, len(image), damage.PAGE):
            if b"key 0022" in image[at : at + damage.PAGE]:
                gone += image[at : at + damage.PAGE]
                image[at : at + damage.PAGE] = bytes(damage.PAGE)
        file.write_bytes(image)
    keys = [key for key in short_family.rows if key.startswith(b"key") and key not in gone]
    spoil_keys(older, keys[:: len(keys) // 10])
    short_family.judge(copies, place / "mended", "page")
