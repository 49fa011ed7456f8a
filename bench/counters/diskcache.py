"""diskcache's Cache.incr."""

from __future__ import annotations

from pathlib import Path

import diskcache  # type: ignore[import-untyped]

from bench.counters import KEY, Counter
from bench.loops import Caller

BUSY_SECONDS = 60.0
FULL = 2  # SQLite's number for synchronous=FULL


class DiskcacheCounter(Counter):
    """One hot key lives in one SQLite database, so that FanoutCache would be no different."""

    name = "diskcache"
    settings = "Cache; WAL; synchronous FULL; no eviction; on a loop: one other thread"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._cache = diskcache.Cache(
            str(path), timeout=BUSY_SECONDS, sqlite_synchronous=FULL, eviction_policy="none"
        )

    def caller(self) -> Caller:
        return Caller(self._cache.incr, self._cache.close)  # closes this thread's connection

    def count(self) -> int:
        return int(self._cache.get(KEY, 0))

    def close(self) -> None:
        self._cache.close()
