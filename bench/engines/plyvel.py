"""LevelDB through plyvel."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from pathlib import Path

import plyvel  # type: ignore[import-untyped]

from bench.engines import Durability, Engine, Pairs, Session, Setup

BLOOM_BITS = 10
LARGEST_BUFFER_BYTES = 1 << 30  # LevelDB reads a larger one through an int, and takes 64 KiB
LAST_KEY = b"\xff" * 32  # beyond every key


class PlyvelEngine(Engine):
    """LevelDB groups the commits of threads, and plyvel releases the GIL in `put`."""

    name = "plyvel"
    module = "plyvel"
    settings = "compression off; write buffer 4 MiB (the default: faster here than 64 and 256 MiB)"

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        self._durable = setup.durability is Durability.DISK
        budget = min(setup.budget_bytes, LARGEST_BUFFER_BYTES) if setup.budget_bytes else None
        self._db = plyvel.DB(
            str(path),
            create_if_missing=True,
            compression=None,
            write_buffer_size=budget,
            lru_cache_size=setup.cache_bytes,
            bloom_filter_bits=BLOOM_BITS if setup.cache_bytes else 0,
        )

    def session(self) -> Session:
        put = functools.partial(self._db.put, sync=True) if self._durable else self._db.put
        return Session(put, self._put_many, self._db.get, scan=self._scan_from)

    def _scan_from(self, start: bytes, most: int) -> Pairs:
        with self._db.iterator(start=start) as rows:
            return list(itertools.islice(rows, most))

    def _put_many(self, pairs: Pairs) -> None:
        batch = self._db.write_batch(sync=self._durable)
        put = batch.put
        for key, value in pairs:
            put(key, value)
        batch.write()

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        rows: Iterable[tuple[bytes, bytes]] = self._db.iterator()
        return rows

    def sync(self) -> None:
        # LevelDB has no sync call: a synced write syncs the log it goes to, with all before it.
        self._db.delete(b"\0no such key", sync=True)

    def flush(self) -> None:
        self._db.compact_range()

    def drain(self) -> None:
        # Any compaction writes the buffer out first; in this range there is nothing else to do.
        self._db.compact_range(start=LAST_KEY, stop=LAST_KEY + b"\0")

    def close(self) -> None:
        self._db.close()
