"""A row that is updated, through the standard library's sqlite3."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bench.counters import KEY, Counter
from bench.loops import Caller

BUSY_SECONDS = 60.0
TABLE = "CREATE TABLE counter (k BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID"
UPDATE = "UPDATE counter SET n = n + ? WHERE k = ?"


class SqliteCounter(Counter):
    """A write-ahead log, one connection per thread, one transaction per increment."""

    name = "sqlite3"
    settings = "WAL; synchronous FULL; a connection per thread; on a loop: one other thread"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._db = self._connect()
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(TABLE)
        self._db.execute("INSERT INTO counter VALUES (?, 0)", (KEY,))

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path / "store.db", timeout=BUSY_SECONDS, isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")
        return db

    def caller(self) -> Caller:
        db = self._connect()
        execute = db.execute
        return Caller(lambda key, delta: execute(UPDATE, (delta, key)), db.close)

    def count(self) -> int:
        (found,) = self._db.execute("SELECT n FROM counter WHERE k = ?", (KEY,)).fetchone()
        return int(found)

    def close(self) -> None:
        self._db.close()
