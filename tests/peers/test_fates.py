"""Directories removed, emptied, rolled back or made read-only at the moment of a kill -9: each level keeps what it
promises, and below a quorum the store refuses instead of guessing."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from crash.children import Children
from crash.power import scaled
from peers.fates import FATES, LEVELS, Fated

Fates = tuple[str, ...]
ALL: list[Fates] = list(itertools.product(FATES, repeat=3))


def campaign(where: Path, openers: Children, seed: int, level: str, fates: list[Fates]) -> None:
    """Let one family live through these fates, one after the other."""
    seen: Counter[str] = Counter()

    def work(part: int) -> None:
        family = Fated(where / str(part), openers, seed + part, level)
        family.live(("kept", "kept", "kept"))
        for each in fates[part::2]:
            family.live(each)
        seen.update(family.seen)
        shutil.rmtree(where / str(part))

    openers.for_each(range(2), work)
    print(f"seed {seed}: {level}: {len(fates)} fates: {dict(seen)}")


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_lost_at_a_kill_costs_no_more_than_the_level_allows(
    scratch: Path, openers: Children, rng: random.Random, level: str
) -> None:
    seed = rng.getrandbits(31)
    campaign(scratch, openers, seed, level, rng.sample(ALL, scaled(6)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("level", LEVELS)
def test_whatever_is_lost_at_a_kill_costs_no_more_than_the_level_allows(
    scratch: Path, openers: Children, rng: random.Random, level: str
) -> None:
    seed = rng.getrandbits(31)
    campaign(scratch, openers, seed, level, rng.sample(ALL, len(ALL)))
