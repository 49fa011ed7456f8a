"""Stores to damage, what is right in them, and the repair itself, here: it believes no byte that it reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import shardkv
from shardkv._native import Check, Mend

SMALL: dict[str, Any] = {
    "shards": 2,
    "segment_bytes": (65536, 65536),
    "unflushed_bytes": 1 << 20,
    "retain_log_bytes": 100_000,
}
EVERYTHING = (1 << 56) - 1
Rows = dict[bytes, tuple[bytes, int, float | None]]


def write(store: shardkv.Store, first: int, count: int, long_bytes: int) -> None:
    """Puts, overwrites, deletes, expiries, and a batch with some long values."""
    for n in range(first, first + count):
        store.put(b"key %05d" % n, b"%d " % n * (1 + n % 40), ack="memory")
    for n in range(first, first + count, 7):
        store.put(b"key %05d" % n, b"again %d" % n, ttl=1e6, ack="memory")
    for n in range(first, first + count, 5):
        store.delete(b"key %05d" % n, ack="memory")
    with store.batch() as batch:
        for n in range(first, first + count, 11):
            batch.put(b"batch %05d" % n, bytes([n % 251]) * (long_bytes if n % 3 == 0 else 50))
    store.namespace("people")["ada"] = first


def rows_of(store: shardkv.Store) -> Rows:
    found: Rows = {}
    for key in store:
        entry = store.get_entry(key)
        assert entry is not None
        found[key] = (entry.value, entry.version, entry.expires_at)
    return found


def make_store(path: Path, long_bytes: int) -> Rows:
    """A closed store: most of it in shards, and the rest in the log."""
    with shardkv.open(path, **SMALL) as store:
        write(store, 0, 300, long_bytes)
        store.flush()
        write(store, 200, 150, long_bytes)
        store.sync()
        rows = rows_of(store)
        store.close(flush=False)
    return rows


def flush(path: Path) -> None:
    """Let a store have everything in its shards."""
    with shardkv.open(path, **SMALL) as store:
        store.flush()


def mend(sources: list[Path], dest: Path) -> tuple[int, list[str]]:
    """Mend without a child; returns the newest seqno and what is lost."""
    seqno, losses, _ = mend_upto([(path, EVERYTHING) for path in sources], dest)
    return seqno, losses


def mend_upto(sources: list[tuple[Path, int]], dest: Path) -> tuple[int, list[str], list[int]]:
    """Believe each copy up to a seqno; returns also what is suspect in each shard."""
    shutil.rmtree(dest, ignore_errors=True)
    work = Mend([(str(path), upto) for path, upto in sources], str(dest))
    try:
        while work.next():
            pass
        losses, count = work.losses()
        assert count == len(losses)
        return work.seqno, [str(loss) for loss in losses], work.suspects()
    finally:
        work.close()


def findings(path: Path) -> list[str]:
    """What a check says: the digest of each shard among the rest."""
    check = Check(str(path))
    found = [str(error) for part in range(check.parts) for error in check.part(part)[0]]
    check.close()
    return found


def state(path: Path) -> tuple[Rows, int, object]:
    """All that can be read from a store."""
    with shardkv.open(path, readonly=True, create=False) as store:
        return rows_of(store), len(store), store.namespace("people")["ada"]
