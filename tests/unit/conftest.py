"""What the unit tests share: one small open store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import shardkv


@pytest.fixture
def store(tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store", shards=3) as store:
        yield store
