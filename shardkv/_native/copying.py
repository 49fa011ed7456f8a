"""Copies of a store, made piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self

from shardkv._core import ffi, lib
from shardkv._native.codes import AGAIN, error_from
from shardkv._native.crossing import Workspace, begun, owned
from shardkv._native.handle import Handle
from shardkv._native.lmdb import find_lmdb_module, load_lmdb


class Copy:
    """A copy under way. One thread at a time.

    Attributes:
        seqno: newest record in the copy; 0 while it is not known.
        bytes: written so far.
        done, total: how far it is, in bytes of the original.
        since: where the backup ended that grows; None when all is copied.
        kept_shards: of an earlier attempt.
    """

    def __init__(self, pointer: Any, *kept: Any) -> None:
        self._pointer = owned(pointer, lib.skv_copy_free, *kept)
        self._ws = Workspace()
        self._progress = ffi.new("skv_copy_progress *")
        self.seqno = self.bytes = self.done = self.total = self.kept_shards = 0
        self.since: int | None = None

    @classmethod
    def backup_of(cls, engine: Handle, path: str) -> Self:
        """Begin to back up an open store: all of it, or what the backup at the path lacks.

        Raises: as of; LogGoneError (the log does not reach back to the backup's end).
        """
        kept = engine.handle, engine.lmdb
        return cls._begun(kept, lib.skv_backup_open, engine.handle, os.fsencode(path))

    @classmethod
    def backup_of_closed(cls, source: str, path: str) -> Self:
        """The same of a store that nobody has open; nothing is written to it.

        Raises: as backup_of; LockedError (the source is open); CorruptionError.
        """
        lmdb, paths = load_lmdb(find_lmdb_module()), (os.fsencode(source), os.fsencode(path))
        return cls._begun((lmdb,), lib.skv_backup_open_still, lmdb, *paths)

    @classmethod
    def of(cls, engine: Handle, path: str, lineage: bytes = b"") -> Self:
        """Begin to copy an open store; the copy gets this lineage.

        Raises: InvalidError, FormatError, LockedError (the directory); FullError, DiskError, ClosedError.
        """
        kept, place = (engine.handle, engine.lmdb), os.fsencode(path)
        return cls._begun(kept, lib.skv_copy_open, engine.handle, place, lineage, len(lineage))

    @classmethod
    def from_closed(cls, source: str, path: str, until: int | None) -> Self:
        """Begin to copy a store that nobody has open; nothing is written to it.

        Raises: as of; LockedError (the source is open); InvalidError (no store, until); CorruptionError.
        """
        lmdb, paths = load_lmdb(find_lmdb_module()), (os.fsencode(source), os.fsencode(path))
        last = 2**64 - 1 if until is None else until
        return cls._begun((lmdb,), lib.skv_restore_open, lmdb, *paths, last)

    @classmethod
    def _begun(cls, kept: tuple[Any, ...], call: Callable[..., Any], *args: Any) -> Self:
        """Begin by this call. Raises: what it failed with."""
        ws = Workspace()
        pointer = begun(lib.skv_copy_free, call, *args, ws.c)
        if pointer == ffi.NULL:
            raise error_from(ws.c.error)
        return cls(pointer, *kept)

    def next(self, piece_bytes: int = 0) -> bool:
        """Copy the next piece, of about so many bytes (0: some MiB); False when the copy is a store, and durable.

        Raises: FullError, DiskError, CorruptionError (the original is damaged), ClosedError.
        """
        code = lib.skv_copy_next(self._pointer, piece_bytes, self._progress, self._ws.c)
        if code not in (0, AGAIN):
            raise error_from(self._ws.c.error)
        at = self._progress
        self.seqno, self.bytes, self.done, self.total = at.seqno, at.bytes, at.done, at.total
        self.since, self.kept_shards = at.since if at.increment else None, at.kept_shards
        return bool(code == AGAIN)

    def close(self) -> None:
        """Let go. What is not finished stays for the next attempt as far as it is of use to it, else it is removed."""
        ffi.release(self._pointer)
