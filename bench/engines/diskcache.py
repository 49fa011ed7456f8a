"""SQLite databases behind diskcache's FanoutCache."""

from __future__ import annotations

import functools
from pathlib import Path

import diskcache  # type: ignore[import-untyped]

from bench.engines import Durability, Engine, Pairs, Session, Setup
from bench.engines.sqlite import sync_log

SHARDS = 8
BUSY_SECONDS = 60.0
SIZE_BYTES = 1 << 40  # nothing is evicted
#: SQLite's numbers for FULL, NORMAL and OFF.
SYNCHRONOUS = {Durability.DISK: 2, Durability.GROUP: 1, Durability.MEMORY: 0}


class DiskcacheEngine(Engine):
    """A transaction per write, in the shard of its key; no order of keys."""

    name = "diskcache"
    module = "diskcache"
    ordered = False
    settings = (
        "FanoutCache, 8 shards; WAL; synchronous FULL when synced, NORMAL and the logs synced behind for "
        "group, else OFF; no eviction; waits instead of giving up"
    )

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        self._shards = setup.shards or SHARDS
        options = (
            {"sqlite_mmap_size": setup.cache_bytes // self._shards} if setup.cache_bytes else {}
        )
        self._cache = diskcache.FanoutCache(
            str(path),
            shards=self._shards,
            timeout=BUSY_SECONDS,
            eviction_policy="none",
            size_limit=SIZE_BYTES,
            sqlite_synchronous=SYNCHRONOUS[setup.durability],
            **options,
        )

    def session(self) -> Session:
        put = functools.partial(self._cache.set, retry=True)
        # What a thread closes is its own connections.
        return Session(put, self._put_many, self._cache.get, self._cache.close)

    def _put_many(self, pairs: Pairs) -> None:
        with self._cache.transact(retry=True):
            for key, value in pairs:
                self._cache.set(key, value)

    def sync(self) -> None:
        self.flush()

    def sync_behind(self) -> None:
        for number in range(self._shards):
            sync_log(self.path / f"{number:03}" / "cache.db")

    def flush(self) -> None:
        for shard in self._cache._shards:
            shard._sql("PRAGMA synchronous = 2")
            shard._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._cache.close()
