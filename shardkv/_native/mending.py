"""Making a sound store of what is left of a damaged one and of its copies."""

from __future__ import annotations

import os
from collections.abc import Sequence

from shardkv._core import ffi, lib
from shardkv._native.codes import AGAIN, error_from
from shardkv._native.crossing import Workspace, owned
from shardkv._native.lmdb import find_lmdb_module, load_lmdb
from shardkv.errors import Error

LOSSES_MAX = 1000


class Mend:
    """A mending under way. One thread.

    Attributes:
        seqno: newest record of the new store; 0 while it is not known.
        done, total: pieces.
    """

    def __init__(self, sources: Sequence[tuple[str, int]], path: str) -> None:
        """Begin; each source with the seqno up to which it is believed, the damaged store first.

        Raises: InvalidError, LockedError, FormatError, CorruptionError, FullError, DiskError.
        """
        self._lmdb, self._ws = load_lmdb(find_lmdb_module()), Workspace()
        given = ffi.new("skv_mend_source[]", len(sources))
        names = [ffi.new("char[]", os.fsencode(name)) for name, _ in sources]
        for i, (_, upto) in enumerate(sources):
            given[i].path, given[i].upto = names[i], upto
        pointer = lib.skv_mend_open(self._lmdb, given, len(sources), os.fsencode(path), self._ws.c)
        if pointer == ffi.NULL:
            raise error_from(self._ws.c.error)
        self._pointer = owned(pointer, lib.skv_mend_free, self._lmdb)
        self._progress = ffi.new("skv_mend_progress *")
        self.seqno = self.done = self.total = 0

    def next(self) -> bool:
        """Make the next piece; False when the store is there and durable.

        Raises: FullError, DiskError, CorruptionError (nothing tells how keys are laid out).
        """
        code = lib.skv_mend_next(self._pointer, self._progress, self._ws.c)
        if code not in (0, AGAIN):
            raise error_from(self._ws.c.error)
        at = self._progress
        self.seqno, self.done, self.total = at.seqno, at.done, at.total
        return bool(code == AGAIN)

    def losses(self) -> tuple[list[Error], int]:
        """Return what no copy could prove: the first of it, and how much there is."""
        out = ffi.new("skv_error[]", LOSSES_MAX)
        count = lib.skv_mend_losses(self._pointer, out, LOSSES_MAX)
        return [error_from(out[i]) for i in range(min(count, LOSSES_MAX))], int(count)

    def suspects(self) -> list[int]:
        """Return for each shard what `suspect` of an engine wants to know."""
        shards = self._progress.shards
        return [int(lib.skv_mend_suspect(self._pointer, i)) for i in range(shards)]

    def close(self) -> None:
        """Let go of all directories."""
        ffi.release(self._pointer)
