"""One small surface over every engine, so that a row is written once.

An engine hands out *sessions*: the calls of one thread, exactly as the engine's own binding gives
them. Rows time those calls in their own loop, so that no wrapper of ours dilutes a ratio.
"""

from __future__ import annotations

import abc
import enum
import importlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from bench.result import Unavailable

Pairs = Sequence[tuple[bytes, bytes]]

#: Engine name -> module and class. The order is the order of every report.
ENGINES = {
    "shardkv": ("bench.engines.shardkv", "ShardkvEngine"),
    "plyvel": ("bench.engines.plyvel", "PlyvelEngine"),
    "rocksdict": ("bench.engines.rocksdict", "RocksdictEngine"),
    "py-lmdb": ("bench.engines.lmdb", "LmdbEngine"),
    "sqlite3": ("bench.engines.sqlite", "SqliteEngine"),
    "diskcache": ("bench.engines.diskcache", "DiskcacheEngine"),
    "dbm": ("bench.engines.dbm", "DbmEngine"),
}


class Durability(enum.Enum):
    """What has happened when a write returns."""

    DISK = "synced"  #: the write is synced; engines may share one sync among waiting writers
    GROUP = "group"  #: the write is visible; a sync behind it follows, see `behind.synced_behind`
    MEMORY = "none"  #: the write is visible; only `Engine.sync` makes it durable


@dataclass(frozen=True)
class Setup:
    """How to open an engine.

    Args:
        durability: what every `put` and `put_many` of the sessions waits for.
        budget_bytes: memory the engine may fill before it writes tables; None keeps the faster of
            its default and 256 MiB.
        shards: shard count, for engines that have shards; None keeps the default.
        cache_bytes: memory for the engine's own cache of what it read, for engines that have one;
            LSM engines then also get Bloom filters. None keeps the defaults.
        record_bytes: how large most records are, for engines whose layout has to fit; None is small.
    """

    durability: Durability
    budget_bytes: int | None = None
    shards: int | None = None
    cache_bytes: int | None = None
    record_bytes: int | None = None


@dataclass(frozen=True)
class Session:
    """The calls of one thread; `close` frees what belongs to the thread."""

    put: Callable[[bytes, bytes], object]
    put_many: Callable[[Pairs], object]
    get: Callable[[bytes], bytes | None]
    close: Callable[[], None] = lambda: None
    #: (start, most) -> at most `most` records with key >= start in key order; None: no such scan
    scan: Callable[[bytes, int], Pairs] | None = None


@dataclass(frozen=True)
class LoopCalls:
    """The calls of all tasks of one event loop; what they mean is as in `Session`."""

    put: Callable[[bytes, bytes], Awaitable[object]]
    get: Callable[[bytes], Awaitable[bytes | None]]
    scan: Callable[[bytes, int], Awaitable[Pairs]]


class Engine(abc.ABC):
    """An open store of one engine."""

    name: ClassVar[str]
    module: ClassVar[str]  #: the import whose presence decides whether the engine can run
    settings: ClassVar[str]  #: what differs from the engine's defaults, for the report
    levels: ClassVar[frozenset[Durability]] = frozenset(Durability)  #: what it can promise
    ordered: ClassVar[bool] = True  #: whether it scans in key order
    syncs_behind: ClassVar[bool] = False  #: whether it syncs unsynced writes within ms by itself

    def __init__(self, path: Path, setup: Setup) -> None:
        self.path = path
        self.setup = setup

    @abc.abstractmethod
    def session(self) -> Session:
        """Give the calling thread its calls."""

    def on_loop(self) -> AbstractAsyncContextManager[LoopCalls]:
        """Lend the calls for tasks of the running loop.

        Raises:
            Unavailable: when the engine has no asyncio interface of its own.
        """
        raise Unavailable(f"{self.name} has no asyncio interface")

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """Iterate over everything in key order with the engine's own iterator.

        Raises:
            Unavailable: when the engine has none.
        """
        raise Unavailable(f"{self.name} keeps no key order")

    @abc.abstractmethod
    def sync(self) -> None:
        """Make every earlier write durable."""

    def sync_behind(self) -> None:
        """As `sync`, from a thread of its own, beside the sessions."""
        self.sync()

    def flush(self) -> None:  # noqa: B027  # engines without tables behind a log have nothing to do
        """Move everything into the engine's tables, in their best shape for reading."""

    def drain(self) -> None:
        """Move everything into the engine's tables, and do no more than that."""
        self.flush()

    def rest(self) -> None:  # noqa: B027  # engines without compactions are at rest
        """Wait until the compactions that earlier writes are due are done."""

    def gauges(self) -> dict[str, float]:
        """Return what the engine holds outside its tables now, by the names of the curves."""
        return {}

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
    """Open the store of engine `name` in the directory `path`, which exists.

    Raises:
        ImportError: when the engine's package is not installed.
        Unavailable: when the engine does not offer the durability.
    """
    kind = engine_class(name)
    if setup.durability not in kind.levels:
        raise Unavailable(f"{name} has no durability level {setup.durability.value!r}")
    return kind(path, setup)
