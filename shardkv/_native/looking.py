"""Counters, and the functions that tests and tools hold against others."""

from __future__ import annotations

from typing import Any

from shardkv._core import ffi, lib
from shardkv._native.codes import error_from
from shardkv._native.crossing import Workspace
from shardkv._native.handle import Handle
from shardkv.stats import LogStats, ShardStats, SnapshotStats, Stats


class Looking(Handle):
    """The looking half of an engine."""

    def shard_of(self, key: bytes) -> int:
        """Return the number of the shard that a key belongs to."""
        return self.ask(lib.skv_shard_of, self.handle, key, len(key))

    def stats(self) -> Stats:
        """Read all counters."""
        ws, c = self.take(), ffi.new("skv_stats *")
        # Before the seqno: no shard may seem to have applied what was not appended yet.
        shards = tuple(self._shard_stats(i, ws) for i in range(lib.skv_shards(self.handle)))
        if lib.skv_stats_read(self.handle, c, ws.c) != 0:
            raise error_from(ws.c.error)
        snapshots = self._snapshot_stats(c.snapshots + 16, ws)
        self.give(ws)
        log = LogStats(
            bytes=c.log_bytes,
            segments=c.log_segments,
            retained_bytes=c.retained_bytes,
            oldest_seqno=c.oldest_seqno,
            syncs=c.syncs,
            synced_bytes=c.synced_bytes,
            group_sizes=tuple(c.group_sizes),
            sync_us=tuple(c.sync_us),
        )
        return Stats(
            seqno=c.seqno,
            durable_seqno=c.durable_seqno,
            unflushed_bytes=c.unflushed_bytes,
            unflushed_records=c.unflushed_records,
            unflushed_age_s=c.unflushed_age_ns / 1e9,
            index_bytes=c.index_bytes,
            stall_s=c.stall_ns / 1e9,
            limited_s=c.limited_ns / 1e9,
            replayed_records=c.replayed_records,
            expired_removed=c.expired_removed,
            settings=self.settings(),
            log=log,
            shards=shards,
            snapshots=snapshots,
        )

    def totals(self, snapshot: Any, blob: bytes) -> list[tuple[int, int]]:
        """Return digest and number of the records in each shard of a snapshot, but for a packed list of keys.

        Raises: CorruptionError, ClosedError.
        """
        shards = int(lib.skv_shards(self.handle))
        c = ffi.new("skv_shard_total[]", shards)
        self.ask(lib.skv_snapshot_totals, self.handle, snapshot, blob, len(blob), c)
        return [(c[i].digest, c[i].count) for i in range(shards)]

    def _shard_stats(self, shard: int, ws: Workspace) -> ShardStats:
        c = ffi.new("skv_shard_stats *")
        if lib.skv_shard_stats_read(self.handle, shard, c, ws.c) != 0:
            raise error_from(ws.c.error)
        return ShardStats(
            records=c.records,
            file_bytes=c.file_bytes,
            unflushed_bytes=c.unflushed_bytes,
            unflushed_records=c.unflushed_records,
            flushes=c.flushes,
            flush_s=c.flush_ns / 1e9,
            flushed_records=c.flushed_records,
            applied_seqno=c.applied_seqno,
        )

    def _snapshot_stats(self, room: int, ws: Workspace) -> tuple[SnapshotStats, ...]:
        c = ffi.new("skv_snapshot_stats[]", room)
        count = lib.skv_snapshot_stats_read(self.handle, c, room, ws.c)
        if count < 0:
            raise error_from(ws.c.error)
        return tuple(SnapshotStats(seqno=c[i].seqno, age_s=c[i].age_ns / 1e9) for i in range(count))


def release(handle: Any) -> None:
    """Free a scan now instead of with its last reference."""
    ffi.release(handle)


def close_snapshot(handle: Any) -> None:
    """Let go of a snapshot's cut; its memory lives as long as somebody refers to it."""
    lib.skv_snapshot_close(handle)


def scan_expires(handle: Any) -> int:
    """Return the expiry in ms of the row so far that expires first; 0 when none does."""
    return int(lib.skv_scan_expires(handle))


def snapshot_seqno(handle: Any) -> int:
    """Return the seqno that a snapshot shows."""
    return int(lib.skv_snapshot_seqno(handle))


def snapshot_flushed(handle: Any) -> int:
    """Return the seqno up to which the shards of a snapshot hold every record."""
    return int(lib.skv_snapshot_flushed(handle))


def hash64(data: bytes, seed: int = 0) -> int:
    """Return XXH64, as the engine computes it."""
    return int(lib.skv_hash(data, len(data), seed))


def ring_pick(weights: list[int] | None, shards: int, hashes: list[int]) -> list[int]:
    """Return the shard of each key hash on a ring of these weights.

    Raises: InvalidError.
    """
    out, err = ffi.new("uint16_t[]", len(hashes)), ffi.new("skv_error *")
    given = ffi.NULL if weights is None else ffi.new("uint32_t[]", weights)
    if lib.skv_ring_pick(given, shards, ffi.new("uint64_t[]", hashes), len(hashes), out, err) != 0:
        raise error_from(err)
    return list(out)
