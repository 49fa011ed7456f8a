"""Reading the shards of a store that another process may have open."""

from __future__ import annotations

import os
from typing import NamedTuple

from shardkv._core import ffi, lib
from shardkv._native.codes import error_from
from shardkv._native.crossing import Workspace
from shardkv._native.lmdb import find_lmdb_module, load_lmdb
from shardkv.errors import Error

FINDINGS_MAX = 100


class ShardSum(NamedTuple):
    """What a shard was found to hold.

    Attributes:
        applied_seqno: every record of the shard up to it was inside.
        digest, records: sum, and number, of its records.
        read_bytes: that were read.
        shards: of the store.
    """

    applied_seqno: int
    digest: int
    records: int
    read_bytes: int
    shards: int


def scrub_shard(path: str, shard: int, bytes_per_s: int) -> tuple[ShardSum, list[Error], int]:
    """Verify a shard; return what it holds, the first findings, and how many there are.

    A damaged page can end the process.

    Raises: InvalidError (there is no store), CorruptionError, FormatError (its manifest), DiskError.
    """
    ws, lmdb = Workspace(), load_lmdb(find_lmdb_module())
    name = ffi.new("char[]", os.fsencode(path))
    part = ffi.new("skv_scrub_part *", {"path": name, "shard": shard, "bytes_per_s": bytes_per_s})
    found, out = ffi.new("skv_scrub_sum *"), ffi.new("skv_error[]", FINDINGS_MAX)
    count = int(lib.skv_scrub(lmdb, part, found, out, FINDINGS_MAX, ws.c))
    if count < 0:
        raise error_from(ws.c.error)
    told = ShardSum(found.applied_seqno, found.digest, found.count, found.bytes, found.shards)
    return told, [error_from(out[i]) for i in range(min(count, FINDINGS_MAX))], count
