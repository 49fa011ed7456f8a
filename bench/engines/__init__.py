"""One small surface over every engine, so that a row is written once.

An engine hands out *sessions*: the calls of one thread, exactly as the engine's own binding gives
them. Rows time those calls in their own loop, so that no wrapper of ours dilutes a ratio.
"""

from __future__ import annotations

import abc
import enum
import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

Pairs = Sequence[tuple[bytes, bytes]]

#: Engine name -> module and class. The order is the order of every report.
ENGINES = {
    "shardkv": ("bench.engines.shardkv", "ShardkvEngine"),
    "plyvel": ("bench.engines.plyvel", "PlyvelEngine"),
    "rocksdict": ("bench.engines.rocksdict", "RocksdictEngine"),
    "py-lmdb": ("bench.engines.lmdb", "LmdbEngine"),
    "sqlite3": ("bench.engines.sqlite", "SqliteEngine"),
}


class Durability(enum.Enum):
    """What has happened when a write returns."""

    DISK = "disk"  #: the write is synced
    MEMORY = "memory"  #: the write is visible; only `Engine.sync` makes it durable


@dataclass(frozen=True)
class Setup:
    """How to open an engine.

    Args:
        durability: what every `put` and `put_many` of the sessions waits for.
        budget_bytes: memory the engine may fill before it writes tables; None keeps the faster of
            its default and 256 MiB.
        shards: shard count, for engines that have shards; None keeps the default.
    """

    durability: Durability
    budget_bytes: int | None = None
    shards: int | None = None


@dataclass(frozen=True)
class Session:
    """The calls of one thread; `close` frees what belongs to the thread."""

    put: Callable[[bytes, bytes], object]
    put_many: Callable[[Pairs], object]
    get: Callable[[bytes], bytes | None]
    close: Callable[[], None] = lambda: None


class Engine(abc.ABC):
    """An open store of one engine."""

    name: ClassVar[str]
    module: ClassVar[str]  #: the import whose presence decides whether the engine can run
    settings: ClassVar[str]  #: what differs from the engine's defaults, for the report

    def __init__(self, path: Path, setup: Setup) -> None:
        self.path = path
        self.setup = setup

    @abc.abstractmethod
    def session(self) -> Session:
        """Give the calling thread its calls."""

    @abc.abstractmethod
    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """Iterate over everything in key order with the engine's own iterator."""

    @abc.abstractmethod
    def sync(self) -> None:
        """Make every earlier write durable."""

    def flush(self) -> None:  # noqa: B027  # engines without tables behind a log have nothing to do
        """Move everything into the engine's tables, in their best shape for reading."""

    def log_bytes(self) -> int:
        """Bytes of log that the next open must replay."""
        return sum(file.stat().st_size for file in self.path.glob("**/*.log"))

    def counters(self) -> dict[str, float]:
        """Return what the engine counts about its unflushed records, for the report."""
        return {}

    @abc.abstractmethod
    def close(self) -> None:
        """Close without any flush that the engine leaves to the caller."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def engine_class(name: str) -> type[Engine]:
    """Import the adapter of the engine called `name`.

    Raises:
        ImportError: when the engine's package is not installed.
    """
    module, attribute = ENGINES[name]
    found: type[Engine] = getattr(importlib.import_module(module), attribute)
    return found


def open_engine(name: str, path: Path, setup: Setup) -> Engine:
    """Open the store of engine `name` in the directory `path`, which exists."""
    return engine_class(name)(path, setup)
