"""Rows of the suite `peers`: the cost of ack levels beside a store without peers, and how fast a peer gets everything.

All directories are on one disk here, so every peer's log and shards compete with the store's for it; on disks of
their own they would not. What is waited for is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import shardkv
from bench.harness import Harness, stopwatch
from bench.loops import Caller, Span, write_together
from bench.records import split
from bench.result import RowResult, Turn
from bench.targets import SUBJECT
from shardkv.options import Ack

if TYPE_CHECKING:
    from bench.rows import Row

BATCH_RECORDS = 1000
RETAIN_BYTES = 1 << 40
PATIENCE_S = 600.0


class Level(NamedTuple):
    """A number of peers, and what a write waits for."""

    peers: int
    ack: Ack


LEVELS = {
    "no peers, disk": Level(0, "disk"),
    "1 peer, disk": Level(1, "disk"),
    "1 peer, all": Level(1, "all"),
    "2 peers, disk": Level(2, "disk"),
    "2 peers, quorum": Level(2, "quorum"),
    "2 peers, all": Level(2, "all"),
}


def levels(row: Row, harness: Harness) -> RowResult:
    """Write at each level: from 1 and 64 threads, in batches, and without waiting until one sync at the end."""
    harness.present(SUBJECT)
    turns: dict[tuple[str, str], Callable[[], Turn]] = {}
    for name, level in LEVELS.items():
        for threads in (1, 64):
            plural = "" if threads == 1 else "s"
            turns[SUBJECT, f"put, {threads} thread{plural}, {name}"] = partial(
                _puts, harness, level, threads
            )
        turns[SUBJECT, f"put_many({BATCH_RECORDS:,}), {name}"] = partial(_batches, harness, level)
        turns[SUBJECT, f"submit loop, {name}"] = partial(_loop, harness, level)
    rounds = harness.interleave(turns, synced=True)
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us)


def _opened(path: Path, level: Level) -> shardkv.Store:
    names = [path / f"peer{i}" for i in range(level.peers)]
    store = shardkv.open(path / "store", peers=names or None, ack=level.ack, write_timeout=60.0)
    store.put(b"first", b"", ack="all")  # the copies are made
    return store


def _puts(harness: Harness, level: Level, threads: int) -> Turn:
    span = Span(harness.plan.warm_seconds, harness.plan.seconds)
    shares = split(harness.pool, len(harness.pool) // threads)[:threads]
    with harness.directory() as path, _opened(path, level) as store:
        turn = write_together(lambda: Caller(store.put, lambda: None), shares, span).turn
        store.close(flush=False)
    return turn


def _batches(harness: Harness, level: Level) -> Turn:
    done = 0
    with harness.directory() as path, _opened(path, level) as store:
        with stopwatch() as seconds:
            for batch in split(harness.pool, BATCH_RECORDS):
                store.put_many(batch)
                done += len(batch)
                if (spent := seconds()) > harness.plan.seconds:
                    break
        store.close(flush=False)
    return {"per_s": done / spent}


def _loop(harness: Harness, level: Level) -> Turn:
    with harness.directory() as path, _opened(path, level) as store:
        with stopwatch() as seconds:
            for key, value in harness.pool:
                ticket = store.submit(key, value)
            ticket.wait(PATIENCE_S)
            spent = seconds()
        store.close(flush=False)
    return {"per_s": len(harness.pool) / spent}


def catch_up(row: Row, harness: Harness) -> RowResult:
    """Bring a peer that was away up to date from the log, and one that has nothing by a copy."""
    harness.present(SUBJECT)
    turns = {
        (SUBJECT, "from the log"): partial(_from_log, harness),
        (SUBJECT, "a full copy"): partial(_full_copy, harness),
    }
    rounds = harness.interleave(turns, synced=True)
    found = {"records": harness.plan.peer_records}
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, found)


def _fill(harness: Harness, store: shardkv.Store) -> None:
    for batch in split(harness.pool[: harness.plan.peer_records], BATCH_RECORDS):
        store.put_many(batch, ack="memory")
    store.sync()


def _until_current(store: shardkv.Store, peer: Path) -> float:
    with stopwatch() as seconds:
        store.peers.add(peer)
        store.put(b"last", b"", ack="all")
        return seconds()


def _from_log(harness: Harness) -> Turn:
    with harness.directory() as path:
        peer = path / "peer0"
        with shardkv.open(
            path / "store", peers=[peer], retain_log_bytes=RETAIN_BYTES, write_timeout=PATIENCE_S
        ) as store:
            store.put(b"first", b"", ack="all")
            store.peers.remove(peer)
            _fill(harness, store)
            spent = _until_current(store, peer)
            (found,) = store.peers.status()
            store.close(flush=False)
    return {"mb_per_s": found.shipped_bytes / spent / 1e6}


def _full_copy(harness: Harness) -> Turn:
    with harness.directory() as path:
        with shardkv.open(path / "store", write_timeout=PATIENCE_S) as store:
            _fill(harness, store)
            store.flush()
            held = sum(shard.file_bytes for shard in store.stats().shards)
            spent = _until_current(store, path / "peer0")
            store.close(flush=False)
    return {"mb_per_s": held / spent / 1e6}


def care(row: Row, harness: Harness) -> RowResult:
    """Promote a peer of a store whose primary is gone, and scrub a store while it is open."""
    harness.present(SUBJECT)
    turns = {
        (SUBJECT, "promote"): partial(_promote, harness),
        (SUBJECT, "scrub"): partial(_scrub, harness),
    }
    rounds = harness.interleave(turns, synced=True)
    found = {"records": harness.plan.peer_records}
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, found)


def _promote(harness: Harness) -> Turn:
    with harness.directory() as path:
        peers = [path / "peer0", path / "peer1"]
        with shardkv.open(path / "store", peers=peers, write_timeout=PATIENCE_S) as store:
            _fill(harness, store)
            store.put(b"last", b"", ack="all")
            store.close(flush=False)
        (path / "store").rename(path / "gone")
        with stopwatch() as seconds:
            shardkv.promote(*peers)
            promoted = seconds()
            with shardkv.open(peers[0]) as store:
                store.put(b"first", b"")
                spent = seconds()
                store.close(flush=False)
    return {"promote_ms": promoted * 1e3, "open_ms": spent * 1e3}


def _scrub(harness: Harness) -> Turn:
    with harness.directory() as path, shardkv.open(path / "store") as store:
        _fill(harness, store)
        store.flush()
        with stopwatch() as seconds:
            read = store.scrub().bytes
            spent = seconds()
        store.close(flush=False)
    return {"mb_per_s": read / spent / 1e6}
