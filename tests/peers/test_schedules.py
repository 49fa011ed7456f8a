"""Opened, written, promoted, rejoined, closed, in any order: one history in each directory, and nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from peers.schedules import Schedule

SEED = int(os.environ.get("SHARDKV_TEST_SEED", "1"))
STEPS = 14


def run(tmp_path: Path, seed: int) -> None:
    schedule = Schedule(tmp_path, seed)
    try:
        schedule.run(STEPS)
    except BaseException:
        print(f"SHARDKV_TEST_SEED={seed}", *schedule.diary, sep="\n")
        raise


@pytest.mark.parametrize("seed", range(SEED, SEED + 12))
def test_no_history_is_merged_and_nothing_is_lost(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED + 1000, SEED + 1400))
def test_no_history_is_merged_and_nothing_is_lost_in_hundreds(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed)
