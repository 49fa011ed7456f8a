"""Fixtures of the tests of peers: the shim of the crash tests, a scratch directory in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from crash.children import Children
from crash.conftest import scratch, shim

__all__ = ["openers", "scratch", "shim"]


@pytest.fixture
def openers() -> Iterator[Children]:
    """Children that open stores and decide about families, without the shim."""
    found = Children(module="peers.child")
    yield found
    found.close()
