"""The standard library's dbm: whichever of its modules this Python was built with."""

from __future__ import annotations

import dbm
import os
import threading
from pathlib import Path

from bench.engines import Durability, Engine, Pairs, Session, Setup


class DbmEngine(Engine):
    """One lock around every call, since the modules of dbm are not safe to share between threads."""

    name = "dbm"
    module = "dbm"
    ordered = False
    settings = "the best module of this Python; one lock around every call"
    levels = frozenset({Durability.MEMORY})

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        self._db = dbm.open(str(path / "store"), "c")  # noqa: SIM115  # closed by close()
        self._lock = threading.Lock()

    def session(self) -> Session:
        db, lock = self._db, self._lock

        def put(key: bytes, value: bytes) -> None:
            with lock:
                db[key] = value

        def put_many(pairs: Pairs) -> None:
            with lock:
                for key, value in pairs:
                    db[key] = value

        def get(key: bytes) -> bytes | None:
            with lock:
                return db.get(key)

        return Session(put, put_many, get)

    def sync(self) -> None:
        self.flush()
        for file in self.path.iterdir():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def flush(self) -> None:
        with self._lock:
            if hasattr(self._db, "sync"):
                self._db.sync()

    def close(self) -> None:
        self._db.close()
