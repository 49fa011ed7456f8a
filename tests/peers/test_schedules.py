"""Opened, written, promoted, rejoined, closed, in any order: one history in each directory, and nothing lost."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from peers.schedules import Schedule

SEED = int(os.environ.get("SHARDKV_TEST_SEED", "1"))
STEPS = 20
BLOCK = 100
# What every block must have come to, so that what is looked at there was looked at.
OUTCOMES = {
    "opened",
    "opened with others away",
    "opened with what a quorum has",
    "open: FencedError",
    "acked at all",
    "acked at quorum",
    "promoted",
    "promoted by force",
    "promote: AckError",
    "rejoined",
    "rejoined, exported",
    "rejoin: FencedError",
    "export compared",
}


def run(where: Path, seed: int) -> Counter[str]:
    """Run a schedule; return how often it came to what."""
    where.mkdir(exist_ok=True)
    schedule = Schedule(where, seed)
    try:
        schedule.run(STEPS)
    except BaseException:
        print(f"SHARDKV_TEST_SEED={seed}", *schedule.diary, sep="\n")
        raise
    return schedule.seen


@pytest.mark.parametrize("seed", range(SEED, SEED + 12))
def test_no_history_is_merged_and_nothing_is_lost(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEED + 1000, SEED + 1400, BLOCK))
def test_no_history_is_merged_and_nothing_is_lost_in_hundreds(scratch: Path, first: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(first, first + BLOCK):
        seen += run(scratch / str(seed), seed)
    print(f"{BLOCK} schedules from seed {first}: {dict(sorted(seen.items()))}")
    assert seen.keys() >= OUTCOMES
