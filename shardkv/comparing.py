"""Comparing: a store and a peer at one seqno, while both go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from shardkv._native import Engine, close_snapshot, pack, snapshot_flushed, snapshot_seqno
from shardkv.stopping import Stop

CATCH_UP_S = 5.0
KEYS_MAX = 1 << 18
BLOCK_BYTES = 1 << 20


class Apart(Exception):
    """The two cannot be compared now."""


def compare(engine: Engine, peer: Engine, stop: Stop) -> list[tuple[tuple[int, int], ...]]:
    """Return for each shard what it says that it holds, digest and number of records, in the store and in the peer.

    A snapshot of each is taken, just flushed. Up to a seqno both have everything in their shards; which keys were
    changed after that, up to the newer of the two, the log says. These are left out, because the log decides what they
    are. All others have in both what they had at any seqno in between.

    Raises: Apart; CorruptionError, PoisonedError, FullError, DiskError; ClosedError, also when it was stopped.
    Cost: flushes both, twice, and looks up once what was changed meanwhile. Writers go on.
    """
    flush(peer, stop)
    flush(engine, stop)
    with cut(engine) as mine:
        catch_up(peer, snapshot_flushed(mine), stop)
        flush(peer, stop)
        with cut(peer) as theirs:
            since = min(snapshot_flushed(mine), snapshot_flushed(theirs))
            upto = max(snapshot_seqno(mine), snapshot_seqno(theirs))
            blob = pack(list(changed(engine, since, upto, stop)))
            return list(zip(engine.totals(mine, blob), peer.totals(theirs, blob), strict=True))


def flush(engine: Engine, stop: Stop) -> None:
    """Flush what is appended now."""
    seqno = engine.last_seqno()
    while not engine.flush_some(seqno):
        stop.check()


@contextlib.contextmanager
def cut(engine: Engine) -> Iterator[Any]:
    """A snapshot; it keeps the log from where its shards end."""
    handle = engine.open_snapshot()
    try:
        yield handle
    finally:
        close_snapshot(handle)


def catch_up(peer: Engine, seqno: int, stop: Stop) -> None:
    """Wait until a peer has a record."""
    deadline = time.monotonic() + CATCH_UP_S
    while peer.last_seqno() < seqno:
        if time.monotonic() >= deadline:
            raise Apart(f"it is {seqno - peer.last_seqno()} records behind")
        stop.sleep(0.01)
        stop.check()


def changed(engine: Engine, since: int, upto: int, stop: Stop) -> set[bytes]:
    """Return the keys that the log changes after a seqno, up to another one."""
    keys: set[bytes] = set()
    engine.wait(upto)
    engine = engine.reserved()
    feed = engine.open_feed(since, b"")
    while since < upto:
        block, since = engine.next_changes(feed, BLOCK_BYTES)
        keys.update((block or [])[1::4])
        if len(keys) > KEYS_MAX:
            raise Apart(f"more than {KEYS_MAX} keys were changed meanwhile")
        stop.check()
    return keys
