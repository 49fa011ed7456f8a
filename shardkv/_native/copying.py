"""Copies of a store, made piece by piece."""

from __future__ import annotations

import os
from typing import Any, Self

from shardkv._core import ffi, lib
from shardkv._native.codes import AGAIN, error_from
from shardkv._native.crossing import Workspace, owned
from shardkv._native.handle import Handle
from shardkv._native.lmdb import find_lmdb_module, load_lmdb


class Copy:
    """A copy under way. One thread at a time. One that is closed before it was finished is removed.

    Attributes:
        seqno: newest record in the copy; 0 while it is not known.
        bytes: written so far.
        done, total: how far it is, in bytes of the original.
    """

    def __init__(self, pointer: Any, *kept: Any) -> None:
        self._pointer = owned(pointer, lib.skv_copy_free, *kept)
        self._ws = Workspace()
        self._progress = ffi.new("skv_copy_progress *")
        self.seqno = self.bytes = self.done = self.total = 0

    @classmethod
    def of(cls, engine: Handle, path: str, lineage: bytes = b"") -> Self:
        """Begin to copy an open store; the copy gets this lineage.

        Raises: InvalidError, FormatError, LockedError (the directory); FullError, DiskError, ClosedError.
        """
        ws = Workspace()
        pointer = lib.skv_copy_open(engine.handle, os.fsencode(path), lineage, len(lineage), ws.c)
        if pointer == ffi.NULL:
            raise error_from(ws.c.error)
        return cls(pointer, engine.handle, engine.lmdb)

    @classmethod
    def from_closed(cls, source: str, path: str, until: int | None) -> Self:
        """Begin to copy a store that nobody has open; nothing is written to it.

        Raises: as of; LockedError (the source is open); InvalidError (no store, until); CorruptionError.
        """
        ws, lmdb = Workspace(), load_lmdb(find_lmdb_module())
        last = 2**64 - 1 if until is None else until
        pointer = lib.skv_restore_open(lmdb, os.fsencode(source), os.fsencode(path), last, ws.c)
        if pointer == ffi.NULL:
            raise error_from(ws.c.error)
        return cls(pointer, lmdb)

    def next(self) -> bool:
        """Copy the next piece; False when the copy is finished, durable, and a store.

        Raises: FullError, DiskError, CorruptionError (the original is damaged), ClosedError.
        """
        code = lib.skv_copy_next(self._pointer, self._progress, self._ws.c)
        if code not in (0, AGAIN):
            raise error_from(self._ws.c.error)
        at = self._progress
        self.seqno, self.bytes, self.done, self.total = at.seqno, at.bytes, at.done, at.total
        return bool(code == AGAIN)

    def close(self) -> None:
        """Let go; what is not finished is removed."""
        ffi.release(self._pointer)
