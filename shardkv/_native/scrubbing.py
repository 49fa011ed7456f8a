"""Reading the shards of a store that another process may have open."""

from __future__ import annotations

import os
from typing import NamedTuple

from shardkv._core import ffi, lib
from shardkv._native.codes import error_from
from shardkv._native.crossing import Workspace, owned
from shardkv._native.lmdb import find_lmdb_module, load_lmdb
from shardkv.errors import Error

FINDINGS_MAX = 100


class ShardSum(NamedTuple):
    """What a shard was found to hold.

    Attributes:
        applied_seqno: every record of the shard up to it was inside when the reading began.
        digest, records: sum, and number, of its records.
        bytes: that were read, of keys and values.
        proven: no record is missing. False: it was flushed into while it was read, so that this cannot be known.
    """

    applied_seqno: int
    digest: int
    records: int
    bytes: int
    proven: bool


class Piece(NamedTuple):
    """What was found when something of a shard was read.

    Attributes:
        sum: of the shard so far.
        ended: that was all of the shard.
        findings: the first ones of this piece; total: how many there are.
    """

    sum: ShardSum
    ended: bool
    findings: list[Error]
    total: int


class Scrub:
    """The shards of a store, to be verified in pieces. A damaged page can end the process.

    Raises: InvalidError (there is no store), CorruptionError, FormatError (its manifest), DiskError.
    """

    def __init__(self, path: str) -> None:
        self._lmdb, self._ws = load_lmdb(find_lmdb_module()), Workspace()
        pointer = lib.skv_scrub_open(self._lmdb, os.fsencode(path), self._ws.c)
        if pointer == ffi.NULL:
            raise error_from(self._ws.c.error)
        self._pointer = owned(pointer, lib.skv_scrub_free, self._lmdb)
        self.shards = int(lib.skv_scrub_shards(self._pointer))

    def begin(self, shard: int) -> None:
        """Go on with the first record of a shard."""
        lib.skv_scrub_begin(self._pointer, shard)

    def next(self, bytes_max: int) -> Piece:
        """Verify the next records; from here to the shard's end, or a rest, it is held like a snapshot.

        Raises: FullError (no reader slot is free), OutOfMemoryError.
        """
        c, out = ffi.new("skv_scrub_sum *"), ffi.new("skv_error[]", FINDINGS_MAX)
        count = lib.skv_scrub_next(self._pointer, bytes_max, c, out, FINDINGS_MAX, self._ws.c)
        if count < 0:
            raise error_from(self._ws.c.error)
        found = ShardSum(c.applied_seqno, c.digest, c.count, c.bytes, bool(c.proven))
        errors = [error_from(out[i]) for i in range(min(count, FINDINGS_MAX))]
        return Piece(found, bool(c.ended), errors, int(count))

    def rest(self) -> None:
        """Let go of the shard for now."""
        lib.skv_scrub_rest(self._pointer)

    def close(self) -> None:
        """Let go of the store."""
        ffi.release(self._pointer)
