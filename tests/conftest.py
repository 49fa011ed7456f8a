"""What every test folder shares: one seed for the run, printed, and Hypothesis without a clock."""

from __future__ import annotations

import importlib.util
import os
import random

import pytest
from hypothesis import settings

CAMPAIGN_S = 4 * 3600  # beside everything else that a machine may do
SEED = os.environ.get("SHARDKV_TEST_SEED") or str(random.SystemRandom().getrandbits(32))

settings.register_profile("shardkv", deadline=None, print_blob=True)
settings.load_profile("shardkv")


def pytest_report_header() -> list[str]:
    package = importlib.util.find_spec("shardkv")
    where = package.origin if package else "not installed"
    return [f"shardkv: {where}", f"seed: SHARDKV_TEST_SEED={SEED}"]


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Return random numbers that the printed seed and the test's name decide."""
    return random.Random(f"{SEED} {request.node.nodeid}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give campaigns their time; a limit that a test names itself comes first."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(CAMPAIGN_S))
