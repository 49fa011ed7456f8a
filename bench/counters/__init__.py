"""One hot counter in each engine that people count with, behind one small surface.

Every increment is synced before it returns, and returns after it is counted. A counter hands out the
engine's own calls, for a thread or for the tasks of an event loop.
"""

from __future__ import annotations

import abc
import asyncio
import importlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Self

from bench.loops import Caller
from bench.result import Unavailable

KEY = b"counter/0000"

#: Engine name -> module and class. The order is the order of every report.
COUNTERS = {
    "shardkv": ("bench.counters.shardkv", "ShardkvCounter"),
    "diskcache": ("bench.counters.diskcache", "DiskcacheCounter"),
    "sqlite3": ("bench.counters.sqlite", "SqliteCounter"),
    "redis": ("bench.counters.redis", "RedisCounter"),
}

Increment = Callable[[bytes, int], Awaitable[object]]


class Counter(abc.ABC):
    """An open store of one engine that holds the counter KEY, which is 0 at first."""

    name: ClassVar[str]
    settings: ClassVar[str]  #: what makes an increment durable, and what is tuned, for the report

    program: ClassVar[str] = ""  #: what has to be installed beside the engine's package

    def __init__(self, path: Path) -> None:
        self.path = path

    @abc.abstractmethod
    def caller(self) -> Caller:
        """Give the calling thread its increment: (key, delta)."""

    @asynccontextmanager
    async def on_loop(self) -> AsyncIterator[Increment]:
        """Lend the increment for tasks of the running loop; by default it runs in one other thread.

        One thread is the better setting of an engine that lets one writer in at a time.
        """
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            caller = await loop.run_in_executor(pool, self.caller)

            def increment(key: bytes, delta: int) -> Awaitable[object]:
                return loop.run_in_executor(pool, caller.write, key, delta)

            try:
                yield increment
            finally:
                await loop.run_in_executor(pool, caller.close)

    @abc.abstractmethod
    def count(self) -> int:
        """Return what the counter has reached."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the store, and end what was started for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def counter_class(name: str) -> type[Counter]:
    """Import the counter of the engine called `name`.

    Raises:
        ImportError: when the engine's package is not installed.
        Unavailable: when its program is not.
    """
    module, attribute = COUNTERS[name]
    found: type[Counter] = getattr(importlib.import_module(module), attribute)
    if found.program and shutil.which(found.program) is None:
        raise Unavailable(f"no {found.program} here (Debian: apt-get install {found.program})")
    return found
