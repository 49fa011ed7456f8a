"""Reads: single keys, many keys, snapshots, scans."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import msgpack

from shardkv._core import ffi, lib
from shardkv._native.codes import AGAIN, NOT_FOUND, error_from
from shardkv._native.crossing import Workspace, own, owned
from shardkv._native.handle import Handle


class Reading(Handle):
    """The reading half of an engine."""

    def get(self, snapshot: Any, key: bytes) -> bytes | None:
        """Return the value of a key, None when it is absent."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_get(self.handle, snapshot, key, len(key), ws.c))

        return self._read(call(), ws, call)

    def finish(self, n: int, ws: Workspace, again: Callable[[], int]) -> bool:
        """Bring a read to its end: what was found may not be durable yet, then wait and look `again`.

        Returns: whether anything was found; if not, the workspace was given back.
        """
        while n == AGAIN:
            self.wait(int(ws.c.seqno))
            n = again()
        if n < 0 and n != NOT_FOUND:
            raise error_from(ws.c.error)
        if n == NOT_FOUND:
            self.give(ws)
        return n != NOT_FOUND

    def _read(self, n: int, ws: Workspace, again: Callable[[], int]) -> bytes | None:
        if not self.finish(n, ws, again):
            return None
        value = ws.data()
        self.give(ws)
        return value

    def contains(self, snapshot: Any, key: bytes) -> bool:
        """Say whether a key is present."""
        ws = self.take()
        while (code := lib.skv_contains(self.handle, snapshot, key, len(key), ws.c)) == AGAIN:
            pass
        if code not in (0, NOT_FOUND):
            raise error_from(ws.c.error)
        self.give(ws)
        return bool(code == 0)

    def get_many(self, snapshot: Any, blob: bytes) -> list[bytes | None]:
        """Return the values of a packed list of keys, None where absent."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_get_many(self.handle, snapshot, blob, len(blob), ws.c))

        values: list[bytes | None] = msgpack.unpackb(self._read(call(), ws, call) or b"\x90")
        return values

    def count(self) -> int:
        """Return the number of keys."""
        ws = self.take()
        while (n := int(lib.skv_count(self.handle, ws.c))) == AGAIN:
            pass
        if n < 0:
            raise error_from(ws.c.error)
        self.give(ws)
        return n

    def open_snapshot(self) -> Any:
        """Take one cut; return its handle, which frees itself."""
        ws, out = self.take(), ffi.new("skv_snapshot **")
        made: list[Any] = []
        with ExitStack() as undo:
            undo.callback(lambda: made or lib.skv_snapshot_free(out[0]))  # after a Ctrl-C
            code = lib.skv_snapshot_open(self.handle, out, ws.c)
            own(made, out[0], lib.skv_snapshot_free, self.handle)
        if code not in (0, AGAIN):
            raise error_from(ws.c.error)
        seqno = int(ws.c.seqno)
        self.give(ws)  # from here on it may be another call's
        if code == AGAIN:
            self.wait(seqno)
        return made[0]

    def first_rows(
        self,
        snapshot: Any,
        limits: tuple[bytes | None, bytes | None],
        flags: int,
        rows_max: int,
        bytes_max: int,
    ) -> tuple[list[bytes], Any] | None:
        """Begin a scan; return its first rows in one flat list, and its handle, None when there are no more.

        None: it has to be opened, which explains why.
        """
        address = int(ffi.cast("uintptr_t", snapshot)) if snapshot else 0
        found = self.calls.scan(address, *limits, flags, rows_max, bytes_max)
        if found is NotImplemented:
            return None
        rows, address, seqno = found
        rest = address and owned(
            ffi.cast("skv_scan *", address), lib.skv_scan_free, self.handle, snapshot
        )
        if seqno:
            self.wait(seqno)
        return rows, rest or None

    def open_scan(self, snapshot: Any, start: bytes | None, stop: bytes | None, flags: int) -> Any:
        """Begin a scan; return its handle, which frees itself."""
        ws = self.take()
        from_, to = (ffi.NULL if bound is None else bound for bound in (start, stop))
        scan = lib.skv_scan_open(
            self.handle, snapshot, from_, len(start or b""), to, len(stop or b""), flags, ws.c
        )
        if scan == ffi.NULL:
            raise error_from(ws.c.error)
        handle = owned(scan, lib.skv_scan_free, self.handle, snapshot)
        seqno = int(ws.c.seqno)
        self.give(ws)
        if seqno:
            self.wait(seqno)
        return handle

    def next_rows(self, scan: Any, width: int, rows_max: int, bytes_max: int) -> list[bytes] | None:
        """Return the next rows of a scan in one flat list, `width` bytes objects each; None at its end."""
        ws = self.take()
        rows = lib.skv_scan_next(scan, rows_max, bytes_max, ws.c)
        if rows < 0:
            raise error_from(ws.c.error)
        address = int(ffi.cast("uintptr_t", ws.c))
        block = self.calls.rows(address, rows * width) if rows else None
        self.give(ws)
        return block
