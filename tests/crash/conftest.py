"""Fixtures of the crash tests: the compiled shim, a scratch directory, children."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import shim as shim_module
from .children import Children


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim_module.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory, in memory where possible: crash states need no real disk."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="shardkv-crash-", dir=where))
    yield path
    if "SHARDKV_CRASH_KEEP" in os.environ:
        print(f"kept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def openers() -> Iterator[Children]:
    """Children that open stores, without the shim."""
    found = Children()
    yield found
    found.close()


@pytest.fixture
def runners(shim: Path) -> Iterator[Children]:
    """Children that run workloads, with the shim preloaded."""
    found = Children(shim=shim)
    yield found
    found.close()
