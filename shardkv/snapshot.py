"""Snapshots: one cut across all shards, for reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from shardkv import _native
from shardkv._native import Engine, as_bytes
from shardkv.errors import ClosedError
from shardkv.opened import Closing
from shardkv.scan import bounds, rows


def lookup_many(engine: Engine, snapshot: Any, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """Read many keys in one crossing; absent ones are left out."""
    asked = [key if type(key) is bytes else as_bytes(key, "key") for key in keys]
    values = engine.get_many(snapshot, _native.pack(asked))
    return {key: value for key, value in zip(asked, values, strict=True) if value is not None}


class Snapshot(Closing):
    """What the store held when `Store.snapshot()` was called. Close it: an old one keeps disk space.

    Attributes:
        seqno: the newest record that it shows.

    Threads: any; calls on one snapshot take turns.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handle: Any = engine.open_snapshot()
        self._closed = False
        self.seqno: int = _native.snapshot_seqno(self._handle)

    def _live(self) -> Any:
        if self._closed:
            raise ClosedError("the snapshot is closed")
        return self._handle

    def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value that `key` had, or `default`.

        Raises: TypeError, InvalidError, KeyTooLongError (key); CorruptionError; ClosedError.
        """
        value = self._engine.get(self._live(), as_bytes(key, "key"))
        return default if value is None else value

    def __getitem__(self, key: bytes) -> bytes:
        value = self._engine.get(self._live(), as_bytes(key, "key"))
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return self._engine.contains(self._live(), as_bytes(key, "key"))

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the keys that were present, with their values."""
        return lookup_many(self._engine, self._live(), keys)

    def scan(
        self,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        values: bool = True,
    ) -> Iterator[Any]:
        """Iterate over (key, value) in key order, as `Store.scan` does."""
        return rows(
            self._engine,
            self._live(),
            bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
        )

    def __iter__(self) -> Iterator[bytes]:
        return self.scan(values=False)

    def close(self) -> None:
        """Let go of the cut. Idempotent."""
        if not self._closed:
            self._closed = True
            _native.close_snapshot(self._handle)

    def __repr__(self) -> str:
        return f"<shardkv.Snapshot seqno={self.seqno}{' closed' if self._closed else ''}>"
