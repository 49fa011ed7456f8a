"""Any one copy of three damaged in any way: nothing is lost, and nothing wrong is there afterwards."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from . import damage
from .conftest import Family

ORDERS = ("abc", "bac", "aac", "bbb", "cab")


def hurt(path: Path, rng: random.Random) -> str:
    """Damage a file of a store in one to three places."""
    file = rng.choice(damage.files_of(path))
    told = []
    for _ in range(rng.randint(1, 3)):
        used = damage.used_sectors(file)
        at, how = rng.randrange(used), rng.randrange(len(damage.HITS) + 2)
        told.append(f"{file.relative_to(path)} {how} {at}")
        if how < len(damage.HITS):
            damage.HITS[how](file, at, rng)
        elif how == len(damage.HITS):
            damage.swap(file, at, rng.randrange(used))
        else:
            damage.cut(file, at)
            break
    return ", ".join(told)


@pytest.mark.parametrize("cases", [150, pytest.param(5000, marks=pytest.mark.slow)])
def test_one_damaged_copy_is_made_whole_from_two_others(
    family: Family, rng: random.Random, place: Path, cases: int
) -> None:
    needed = False
    for case in range(cases):
        copies = family.copies(rng.choice(ORDERS), place / "copies")
        told = hurt(copies[0], rng)
        needed = needed or family.needs_others(copies[0], place / "alone")
        family.judge(copies, place / "mended", f"case {case}: {told}")
    assert needed


@pytest.mark.parametrize("cases", [80, pytest.param(3000, marks=pytest.mark.slow)])
def test_two_damaged_copies_are_made_whole_from_a_third(
    family: Family, rng: random.Random, place: Path, cases: int
) -> None:
    needed = False
    for case in range(cases):
        copies = family.copies(rng.choice(ORDERS), place / "copies")
        victims = rng.sample(copies, 2)
        told = [hurt(path, rng) for path in victims]
        needed = needed or any(family.needs_others(path, place / "alone") for path in victims)
        family.judge(copies, place / "mended", f"case {case}: {told}")
    assert needed


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "lost", ["MANIFEST*", "log", "shards", "shards/0001", "log/MARK", "log/*.log"]
)
def test_lost_files_and_folders_come_from_the_others(
    family: Family, place: Path, order: str, lost: str
) -> None:
    copies = family.copies(order, place / "copies")
    for path in list(copies[0].glob(lost)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    family.judge(copies, place / "mended", lost)
