"""SQLite through the standard library's sqlite3."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from bench.engines import Durability, Engine, Pairs, Session, Setup

BUSY_SECONDS = 60.0
UPSERT = "INSERT OR REPLACE INTO kv VALUES (?, ?)"
SMALLEST_PAGE, LARGEST_PAGE = 4096, 65536
ROW_BYTES = 16  #: beside key and value
FROM = "SELECT k, v FROM kv WHERE k >= ? ORDER BY k LIMIT ?"
SYNCHRONOUS = {Durability.DISK: "FULL", Durability.GROUP: "NORMAL", Durability.MEMORY: "OFF"}


def page_bytes(record_bytes: int) -> int:
    """Return the smallest size of pages, 4 KiB or more, that holds such records without overflow pages.

    Source: sqlite.org/fileformat2.html, section 1.6: what of a row an index page keeps.
    """
    page = SMALLEST_PAGE
    while page < LARGEST_PAGE and (page - 12) * 64 // 255 - 23 < record_bytes + ROW_BYTES:
        page *= 2
    return page


def sync_log(database: Path) -> None:
    """Make what is committed durable, with synchronous NORMAL, which leaves it in the log unsynced."""
    try:
        log = os.open(f"{database}-wal", os.O_RDONLY)
    except FileNotFoundError:
        database.stat()  # a database without a log: its last connection took all out of it, and synced
        return
    try:
        os.fdatasync(log)
    finally:
        os.close(log)


class SqliteEngine(Engine):
    """A write-ahead log, and one connection per thread as SQLite wants it."""

    name = "sqlite3"
    module = "sqlite3"
    settings = (
        "WAL; synchronous FULL when synced, NORMAL and the log synced behind for group, else OFF; "
        "one connection per thread; WITHOUT ROWID"
    )

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        self._file = path / "store.db"
        self._db = self._connect()
        self._db.execute(f"PRAGMA page_size = {page_bytes(setup.record_bytes or 0)}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)
        db.execute(f"PRAGMA synchronous = {SYNCHRONOUS[self.setup.durability]}")
        if self.setup.cache_bytes:
            db.execute(f"PRAGMA mmap_size = {self.setup.cache_bytes}")
        return db

    def session(self) -> Session:
        db = self._connect()
        execute = db.execute

        def put(key: bytes, value: bytes) -> None:
            execute(UPSERT, (key, value))

        def put_many(pairs: Pairs) -> None:
            execute("BEGIN")
            db.executemany(UPSERT, pairs)
            execute("COMMIT")

        def get(key: bytes) -> bytes | None:
            row = execute("SELECT v FROM kv WHERE k = ?", (key,)).fetchone()
            return row[0] if row else None

        def scan(start: bytes, most: int) -> Pairs:
            return execute(FROM, (start, most)).fetchall()

        return Session(put, put_many, get, db.close, scan)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        return self._db.execute("SELECT k, v FROM kv ORDER BY k")

    def sync(self) -> None:
        self.flush()

    def sync_behind(self) -> None:
        sync_log(self._file)

    def flush(self) -> None:
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._db.close()
