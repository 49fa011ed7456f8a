"""LMDB through py-lmdb."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import lmdb

from bench.engines import Durability, Engine, Pairs, Session, Setup

MAP_BYTES = 16 << 30  # address space only; the file grows as it fills
MAX_READERS = 256


class LmdbEngine(Engine):
    """One transaction per put, per get and per batch: what durable single records cost in LMDB."""

    name = "py-lmdb"
    module = "lmdb"
    settings = "map 16 GiB"

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        durable = setup.durability is Durability.DISK
        self._env = lmdb.open(
            str(path), map_size=MAP_BYTES, max_readers=MAX_READERS, sync=durable, metasync=durable
        )

    def session(self) -> Session:
        begin = self._env.begin

        def put(key: bytes, value: bytes) -> None:
            with begin(write=True) as transaction:
                transaction.put(key, value)

        def get(key: bytes) -> bytes | None:
            with begin() as transaction:
                found: bytes | None = transaction.get(key)
                return found

        def scan(start: bytes, most: int) -> Pairs:
            with begin() as transaction, transaction.cursor() as cursor:
                if not cursor.set_range(start):
                    return []
                return list(itertools.islice(cursor.iternext(keys=True, values=True), most))

        return Session(put, self._put_many, get, scan=scan)

    def _put_many(self, pairs: Pairs) -> None:
        with self._env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(pairs)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        # The iterator keeps its transaction alive; a generator of ours would cost time per row.
        rows: Iterable[tuple[bytes, bytes]] = (
            self._env.begin().cursor().iternext(keys=True, values=True)
        )
        return rows

    def sync(self) -> None:
        self._env.sync(True)

    def close(self) -> None:
        self._env.close()
