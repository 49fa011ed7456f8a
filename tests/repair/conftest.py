"""Three copies of one store, in different states of flushing, made once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import shardkv

from . import stores


class Family:
    """Templates of the copies, and what is right in all of them."""

    def __init__(self, where: Path, long_bytes: int) -> None:
        where.mkdir()
        self.rows = stores.make_store(where / "a", long_bytes)
        for name in "bcde":
            shutil.copytree(where / "a", where / name)
        stores.flush(where / "b")
        self.templates = where
        self.state = stores.state(where / "e")

    def copies(self, names: str, dest: Path) -> list[Path]:
        """Fresh copies of some templates."""
        shutil.rmtree(dest, ignore_errors=True)
        made = [dest / f"{n}{name}" for n, name in enumerate(names)]
        for name, path in zip(names, made, strict=True):
            shutil.copytree(self.templates / name, path)
        return made

    def needs_others(self, source: Path, dest: Path) -> bool:
        """Say whether a copy alone is not enough for a repair."""
        try:
            _, losses = stores.mend([source], dest)
        except shardkv.Error:
            return True
        return bool(losses) or stores.state(dest) != self.state

    def judge(self, sources: list[Path], dest: Path, label: str) -> None:
        """Mend, and find everything, and all of it right."""
        _, losses = stores.mend(sources, dest)
        assert losses == [], label
        assert stores.findings(dest) == [], label
        assert stores.state(dest) == self.state, label


@pytest.fixture(scope="session")
def quick() -> Iterator[Path]:
    """A place in memory, where there is one: what a power cut leaves is not the matter here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def family(quick: Path) -> Family:
    """Some values take pages of their own."""
    return Family(quick / "family", 20_000)


@pytest.fixture(scope="session")
def short_family(quick: Path) -> Family:
    """Every record fits into a page, and into a few sectors of the log."""
    return Family(quick / "short", 200)


@pytest.fixture
def place(quick: Path) -> Iterator[Path]:
    """A directory of the test's own."""
    with tempfile.TemporaryDirectory(dir=quick) as name:
        yield Path(name)
