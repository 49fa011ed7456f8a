"""Every test of shardkv.aio that asks for `run` is run on both kinds of loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aio.loops import KINDS, Run, runs


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest) -> Run[Any]:
    return runs(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"
