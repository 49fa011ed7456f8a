"""Fixtures of the tests of peers: the shim of the crash tests, a scratch directory in memory."""

from __future__ import annotations

from crash.conftest import openers, scratch, shim

__all__ = ["openers", "scratch", "shim"]
