"""What the tests of shardkv.aio share: a loop of either kind, and a log that cannot be written."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import shardkv
import shardkv.aio

R = TypeVar("R")


def _runner(kind: str) -> asyncio.Runner:
    if kind == "asyncio":
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


WITHOUT_UVLOOP = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None,
    reason="NOT RUN: uvloop is not installed, so nothing here says whether shardkv.aio works on it",
)
KINDS = ["asyncio", pytest.param("uvloop", marks=WITHOUT_UVLOOP)]

Run = Callable[[Coroutine[Any, Any, R]], R]


def runs(kind: str) -> Run[Any]:
    """Return what runs a coroutine on a fresh loop of a kind."""

    def run(main: Coroutine[Any, Any, R]) -> R:
        with _runner(kind) as runner:
            return runner.run(main)

    return run


def make_unwritable(path: str) -> None:
    """Let every segment of the store's log fail to be written from now on."""
    unwritable = os.open("/dev/null", os.O_RDONLY)
    for number, target in open_files():
        if target.startswith(f"{path}/log/") and target.endswith(".log"):
            os.dup2(unwritable, number)
    os.close(unwritable)


def open_files() -> Iterator[tuple[int, str]]:
    """Yield each descriptor and what it is of; threads open and close files meanwhile."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield int(number), os.readlink(f"/proc/self/fd/{number}")


def eventfds() -> int:
    """Count what loops are signalled by; stores open and close files by themselves."""
    gc.collect()
    return sum(target == "anon_inode:[eventfd]" for _, target in open_files())


def stored(path: Path | str) -> dict[bytes, bytes]:
    """Return what a store holds once it is opened again."""
    with shardkv.open(path) as store:
        return dict(store.items())
