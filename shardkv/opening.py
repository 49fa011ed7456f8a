"""Opening a store."""

from __future__ import annotations

import os
from collections.abc import Sequence

from shardkv.backups import absolute
from shardkv.options import (
    WRITE_TIMEOUT,
    Ack,
    check_ack,
    check_options,
    check_peers,
    check_timeout,
)
from shardkv.store import Store, reopen


def open(
    path: str | os.PathLike[str],
    *,
    shards: int | None = None,
    weights: Sequence[int] | None = None,
    ack: Ack = "disk",
    unflushed_bytes: int | None = None,
    retain_log_bytes: int | None = None,
    max_writes_per_s: int | None = None,
    max_bytes_per_s: int | None = None,
    write_timeout: float = WRITE_TIMEOUT,
    create: bool = True,
    readonly: bool = False,
    segment_bytes: tuple[int, int] | None = None,
    map_bytes: int | None = None,
    lock_stripes: int | None = None,
    scrub_bytes_per_s: int | None = None,
    quarantined: bool = False,
    peers: Sequence[str | os.PathLike[str]] | None = None,
) -> Store:
    """Open the store in a directory, or make one.

    Args:
        path: the directory; its parent must exist. On a local file system.
        shards: LMDB environments, 1..256; 8 for a new store. A stored store keeps its own number.
        weights: a share 1..64 for each shard.
        ack: what a write waits for by default: "disk" survives power loss, "memory" does not wait, "quorum" is on the
            disks of more than half of the store and its peers, "all" on all of them.
        unflushed_bytes: budget of records in the log that are in no shard yet; 256 MiB for a new store.
        retain_log_bytes: how much of the log to keep on disk for readers of the log; 0 for a new store.
        max_writes_per_s, max_bytes_per_s: limits, 0 for none. These four are settings: the store keeps them, and a
            later open that does not name them finds them as they were. `Store.configure` changes them, and tells more.
        write_timeout: seconds that a write waits for room before OverloadedError, or for peers before AckError.
        create: make the store when there is none.
        readonly: refuse writes. The store is still held by this process alone.
        segment_bytes: smallest and largest log segment; 4 MiB, and a sixteenth of
            `unflushed_bytes`, between 4 and 64 MiB.
        map_bytes: first size of a shard's memory map, which grows by itself; 16 GiB of address space.
        lock_stripes: key locks that `Store.lock` spreads the keys over; 1024. Of this process, not stored.
        scrub_bytes_per_s: verify all of the store and its peers in the background, pass after pass, at most so many
            bytes of keys and values per second; passes begin a minute apart, at least. None or 0: not at all.
            What is damaged is in `stats().scrub`, and an error of the logger "shardkv". Of this process, not stored.
        quarantined: open a store from which records are lost, too. Reads of a key raise CorruptionError where a newer
            value may be lost; scans and counts show what is left.
        peers: directories that hold, or shall hold, a full copy each, best on other disks; see `Store.peers`. The store
            remembers them: a later open need not name them, and one that names others adds these.
    Returns: a Store. The same directory opened twice in one process shares one engine.
    Raises: LockedError (another process has it), FormatError, CorruptionError, InvalidError, FullError, DiskError;
        OutOfMemoryError (no memory, or no thread); ReadOnlyError (other settings than those of the store, with
        readonly); FencedError (it is a peer, or a peer was promoted); AckError (fewer than a quorum of the family can
        be read, with ack "quorum" or "all").
    Cost: replays what was not flushed: about a second per GB of log.
    """
    options = check_options(
        shards=shards,
        weights=weights,
        max_writes_per_s=max_writes_per_s,
        max_bytes_per_s=max_bytes_per_s,
        retain_log_bytes=retain_log_bytes,
        unflushed_bytes=unflushed_bytes,
        create=create,
        readonly=readonly,
        segment_bytes=segment_bytes,
        map_bytes=map_bytes,
        lock_stripes=lock_stripes,
        scrub_bytes_per_s=scrub_bytes_per_s,
        quarantined=quarantined,
    )
    check_ack(ack)
    timeout, name = check_timeout(write_timeout), absolute(path)
    names = None if peers is None else [absolute(peer) for peer in check_peers(peers)]
    return reopen(name, ack, timeout, options, names)
