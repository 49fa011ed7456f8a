"""RocksDB through rocksdict."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from bench.engines import Durability, Engine, Pairs, Session, Setup

BLOOM_BITS = 10
DEFAULT_BUDGET_BYTES = 256 << 20
LOOK_SECONDS = 0.01
BACKGROUND = (
    "rocksdb.mem-table-flush-pending",
    "rocksdb.num-running-flushes",
    "rocksdb.compaction-pending",
    "rocksdb.num-running-compactions",
)
GAUGES = ("rocksdb.cur-size-all-mem-tables", "rocksdb.num-running-flushes")


class RocksdictEngine(Engine):
    """Raw mode: bytes in, bytes out, no encoding of types."""

    name = "rocksdict"
    module = "rocksdict"
    settings = "compression off; write buffer 256 MiB (faster here than the default)"

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_compression_type(DBCompressionType.none())
        options.set_write_buffer_size(setup.budget_bytes or DEFAULT_BUDGET_BYTES)
        if setup.cache_bytes:
            tables = BlockBasedOptions()
            tables.set_block_cache(Cache(setup.cache_bytes))
            tables.set_bloom_filter(BLOOM_BITS, False)
            options.set_block_based_table_factory(tables)
        self._write_options = WriteOptions()
        self._write_options.sync = setup.durability is Durability.DISK
        self._db = Rdict(str(path), options)
        self._db.set_write_options(self._write_options)

    def session(self) -> Session:
        return Session(self._db.put, self._put_many, self._db.get, scan=self._scan_from)

    def _scan_from(self, start: bytes, most: int) -> Pairs:
        rows = cast("Iterable[tuple[bytes, bytes]]", self._db.items(from_key=start))
        return list(itertools.islice(rows, most))

    def _put_many(self, pairs: Pairs) -> None:
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in pairs:
            put(key, value)
        self._db.write(batch, self._write_options)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        return cast("Iterable[tuple[bytes, bytes]]", self._db.items())

    def sync(self) -> None:
        self._db.flush_wal(True)

    def flush(self) -> None:
        self._db.flush()
        self._db.compact_range(None, None)

    def drain(self) -> None:
        self._db.flush()

    def rest(self) -> None:
        while any(self._db.property_int_value(name) for name in BACKGROUND):
            time.sleep(LOOK_SECONDS)

    def gauges(self) -> dict[str, float]:
        unflushed, flushes = (self._db.property_int_value(name) or 0 for name in GAUGES)
        return {"unflushed_bytes": unflushed, "flushing": float(flushes > 0)}

    def close(self) -> None:
        self._db.close()
