"""shardkv: an embedded, sharded, durable, ordered key-value engine.

>>> import shardkv
>>> with shardkv.open("/tmp/example.skv") as store:  # doctest: +SKIP
...     store[b"key"] = b"value"  # on disk when this line is done
...     store[b"key"]
b'value'
"""

from shardkv._version import __version__
from shardkv.backups import BackupInfo
from shardkv.batch import Batch
from shardkv.changes import Change, Watch
from shardkv.checking import CheckReport, check
from shardkv.checks import Finding
from shardkv.entry import Entry
from shardkv.errors import (
    AckError,
    ClosedError,
    ConflictError,
    CorruptionError,
    DiskError,
    Error,
    FencedError,
    ForkedError,
    FormatError,
    FullError,
    InvalidError,
    KeyTooLongError,
    LeaseLostError,
    LockedError,
    LockOwnerError,
    LockTimeoutError,
    LogGoneError,
    OutOfMemoryError,
    OverloadedError,
    PoisonedError,
    ReadOnlyError,
    ValueTooLargeError,
    WrongTypeError,
)
from shardkv.exports import ExportedRecord, read_export
from shardkv.leases import Lease
from shardkv.locks import KeyLock
from shardkv.namespace import Namespace
from shardkv.opening import open
from shardkv.options import Options, Settings
from shardkv.peers import Peers
from shardkv.promoting import Lacking, Promotion, promote
from shardkv.rejoining import Rejoined, rejoin
from shardkv.repairing import Repair
from shardkv.restoring import restore
from shardkv.scrubbing import ScrubReport
from shardkv.snapshot import Snapshot
from shardkv.stats import LogStats, PeerStatus, ScrubStats, ShardStats, SnapshotStats, Stats
from shardkv.store import Store
from shardkv.ticket import Ticket
from shardkv.transaction import Transaction
from shardkv.typed_feed import TypedChange

__all__ = [
    "AckError",
    "BackupInfo",
    "Batch",
    "Change",
    "CheckReport",
    "ClosedError",
    "ConflictError",
    "CorruptionError",
    "DiskError",
    "Entry",
    "Error",
    "ExportedRecord",
    "FencedError",
    "Finding",
    "ForkedError",
    "FormatError",
    "FullError",
    "InvalidError",
    "KeyLock",
    "KeyTooLongError",
    "Lacking",
    "Lease",
    "LeaseLostError",
    "LockOwnerError",
    "LockTimeoutError",
    "LockedError",
    "LogGoneError",
    "LogStats",
    "Namespace",
    "Options",
    "OutOfMemoryError",
    "OverloadedError",
    "PeerStatus",
    "Peers",
    "PoisonedError",
    "Promotion",
    "ReadOnlyError",
    "Rejoined",
    "Repair",
    "ScrubReport",
    "ScrubStats",
    "Settings",
    "ShardStats",
    "Snapshot",
    "SnapshotStats",
    "Stats",
    "Store",
    "Ticket",
    "Transaction",
    "TypedChange",
    "ValueTooLargeError",
    "Watch",
    "WrongTypeError",
    "__version__",
    "check",
    "open",
    "promote",
    "read_export",
    "rejoin",
    "restore",
]
