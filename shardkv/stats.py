"""What `Store.stats()` returns: frozen records of plain numbers.

Histograms are tuples of counts: bucket i counts the values in [2**i, 2**(i+1)), the first one also 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shardkv.checks import Finding
from shardkv.options import Settings


@dataclass(frozen=True, slots=True)
class LogStats:
    """The write-ahead log.

    Attributes:
        bytes: size of the live segments' files.
        segments: how many are live.
        retained_bytes: size of files that are kept for readers of the log alone; see `retain_log_bytes`.
        oldest_seqno: the oldest record that can still be read from the log.
        syncs: completed since the store was opened.
        synced_bytes: bytes of frames that these made durable.
        group_sizes: histogram of records per sync.
        sync_us: histogram of microseconds per sync, write included.
    """

    bytes: int
    segments: int
    retained_bytes: int
    oldest_seqno: int
    syncs: int
    synced_bytes: int
    group_sizes: tuple[int, ...]
    sync_us: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShardStats:
    """One shard: what is in it, what waits for it, and its flushes since the store was opened.

    Attributes:
        records: in the shard; what is not flushed yet may replace some, delete some, and add more.
        file_bytes: size of its LMDB file.
        unflushed_bytes, unflushed_records: what waits in the log for its next flush; distinct keys.
        flushes, flushed_records: completed flushes, and the records that they moved.
        flush_s: seconds that these took, in sum.
        applied_seqno: it holds every record of its keys up to this one.
    """

    records: int
    file_bytes: int
    unflushed_bytes: int
    unflushed_records: int
    flushes: int
    flush_s: float
    flushed_records: int
    applied_seqno: int


@dataclass(frozen=True, slots=True)
class SnapshotStats:
    """One live snapshot or scan; an old one keeps log segments and pages from being used again.

    Attributes:
        seqno: the newest record that it shows.
        age_s: seconds since it was taken.
    """

    seqno: int
    age_s: float


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """How it is with one peer.

    Attributes:
        path: its directory.
        state: "current", "behind", "copying" or "failed".
        seqno: every record up to it is durable there, as far as is known.
        behind_records, behind_s: what it lacks of what is durable here, and for how long; 0.0 when it is current.
        why: of a failed one, what happened last.
        done, total: of a copy under way, in bytes; else 0.
        shipped_bytes: records sent since it was added or this store was opened.
    """

    path: str
    state: str
    seqno: int
    behind_records: int
    behind_s: float
    why: str
    done: int
    total: int
    shipped_bytes: int


@dataclass(frozen=True, slots=True)
class ScrubStats:
    """The scrub in the background, since the store was opened with `scrub_bytes_per_s`.

    Attributes:
        bytes_per_s: how many bytes of keys and values it reads per second, at most.
        passes: that were completed: everything was read once in the store, and in each peer that could be read.
        ended_at: Unix time in seconds at which the last of them ended; None: there was none.
        bytes, records: read in the present pass so far, of keys and values; all of the last one until the next begins.
        findings: of the last completed pass, and of the present one so far.
        not_compared: of the last completed pass, peers whose content was not held against the store's, and why.
        why: of a last pass that was not completed, what happened.
    """

    bytes_per_s: int
    passes: int
    ended_at: float | None
    bytes: int
    records: int
    findings: tuple[Finding, ...]
    not_compared: Mapping[str, str]
    why: str


@dataclass(frozen=True, slots=True)
class Stats:
    """A store, counter by counter; see `Store.stats`.

    Attributes:
        seqno: newest appended record.
        durable_seqno: newest record that is on disk.
        unflushed_bytes: records in the log that are in no shard yet; bounded by the option of that name.
        unflushed_records: distinct keys among them.
        unflushed_age_s: age of the oldest of them.
        index_bytes: heap that their index takes.
        stall_s: time that writers were held back for want of room, summed over threads.
        limited_s: time that writers waited for a limit of `configure`, summed over threads.
        replayed_records: records that opening took from the log.
        expired_removed: expired records that were deleted since the store was opened.
        settings: as `configure` left them.
        log, shards, snapshots, peers: as their classes say; snapshots oldest first.
        scrub: the scrub in the background; None: it is off.
    """

    seqno: int
    durable_seqno: int
    unflushed_bytes: int
    unflushed_records: int
    unflushed_age_s: float
    index_bytes: int
    stall_s: float
    limited_s: float
    replayed_records: int
    expired_removed: int
    settings: Settings
    log: LogStats
    shards: tuple[ShardStats, ...]
    snapshots: tuple[SnapshotStats, ...]
    peers: tuple[PeerStatus, ...] = ()
    scrub: ScrubStats | None = None
