"""The only package that touches the compiled module: buffers in, bytes out, codes become exceptions.

An Engine is one open store inside this process; `registry` shares it between Store objects.
"""

from shardkv._native.atomic import Atomic, conflict, terms
from shardkv._native.calls import NO_CALLS, Calls, TicketBase, Wait, Waits
from shardkv._native.checking import Check
from shardkv._native.codes import (
    ALL,
    BATCH_BYTES_MAX,
    CODES,
    DISK,
    KEY_BYTES_MAX,
    KEYS_ONLY,
    LATER,
    LOOPS,
    MEMORY,
    NO_SNAPSHOT,
    NUMBER_MSGPACK,
    NUMBER_TEXT,
    ONLY,
    QUORUM,
    RESERVED,
    REVERSE,
    SLICE_MS,
    TTL_MS_MAX,
    VALUE_BYTES_MAX,
    error_from,
)
from shardkv._native.copying import Copy
from shardkv._native.crossing import Workspace, after, as_bytes, pack
from shardkv._native.following import Following, close_feed
from shardkv._native.lmdb import find_lmdb_module, lmdb_version, load_lmdb
from shardkv._native.looking import (
    Looking,
    close_snapshot,
    hash64,
    release,
    ring_pick,
    scan_expires,
    snapshot_flushed,
    snapshot_seqno,
)
from shardkv._native.looping import Notifier, NotYet, Unwaiting
from shardkv._native.mending import Mend
from shardkv._native.scrubbing import Scrub, ShardSum
from shardkv._native.shipping import (
    COPYING,
    CURRENT,
    DOWN,
    PEERS_MAX,
    STATES,
    PeerCounters,
    Ship,
    look_at_lineage,
    look_at_standing,
)

__all__ = [
    "ALL",
    "BATCH_BYTES_MAX",
    "CODES",
    "COPYING",
    "CURRENT",
    "DISK",
    "DOWN",
    "KEYS_ONLY",
    "KEY_BYTES_MAX",
    "LATER",
    "LOOPS",
    "MEMORY",
    "NO_CALLS",
    "NO_SNAPSHOT",
    "NUMBER_MSGPACK",
    "NUMBER_TEXT",
    "ONLY",
    "PEERS_MAX",
    "QUORUM",
    "RESERVED",
    "REVERSE",
    "SLICE_MS",
    "STATES",
    "TTL_MS_MAX",
    "VALUE_BYTES_MAX",
    "Calls",
    "Check",
    "Copy",
    "Engine",
    "Mend",
    "NotYet",
    "Notifier",
    "PeerCounters",
    "Scrub",
    "ShardSum",
    "Ship",
    "TicketBase",
    "Unwaiting",
    "Wait",
    "Waits",
    "Workspace",
    "after",
    "as_bytes",
    "close_feed",
    "close_snapshot",
    "conflict",
    "error_from",
    "find_lmdb_module",
    "hash64",
    "lmdb_version",
    "load_lmdb",
    "look_at_lineage",
    "look_at_standing",
    "pack",
    "release",
    "ring_pick",
    "scan_expires",
    "snapshot_flushed",
    "snapshot_seqno",
    "terms",
]


class Engine(Atomic, Looking, Following):
    """One open store. Every method may be called from any thread."""
