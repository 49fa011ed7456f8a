"""Feeds beside writers, flushes and reopening: exactly what was written, in the order of the log, complete."""

from __future__ import annotations

import contextlib
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from stress.traffic import run_script

import shardkv
from shardkv import Change

SMALL: dict[str, Any] = {
    "shards": 3,
    "segment_bytes": (65536, 262144),
    "unflushed_bytes": 1 << 20,
}
WRITERS = 6
ROUNDS = 120

# What one writer did: seqno of its last record, and the records as (key, value).
Write = tuple[int, list[tuple[bytes, bytes | None]]]


def write(store: shardkv.Store, rng: random.Random, writer: int, done: list[Write]) -> None:
    for turn in range(ROUNDS):
        key = b"%d/%d" % (writer, rng.randrange(20))
        value = rng.randbytes(rng.randrange(800))
        match rng.randrange(5):
            case 0:
                with store.batch(ack=rng.choice(["disk", "memory"])) as batch:
                    rows: list[tuple[bytes, bytes | None]] = []
                    for n in range(rng.randrange(1, 30)):
                        rows.append((b"%d/%d/%d" % (writer, turn, n), value[:n]))
                        batch.put(*rows[-1])  # type: ignore[arg-type]
                assert batch.seqno is not None
                done.append((batch.seqno, rows))
            case 1:
                ticket = store.submit(key, value)
                done.append((ticket.seqno, [(key, value)]))
            case _:
                seqno = store.put(key, value, ack=rng.choice(["disk", "memory"]))
                done.append((seqno, [(key, value)]))


def follow(watch: shardkv.Watch, upto: int, found: list[Change]) -> None:
    while not found or found[-1].seqno < upto:
        found.append(watch.get(timeout=60))


def check(found: list[Change], histories: list[list[Write]]) -> None:
    """The feed is the history: every record once, seqnos without a gap, batches in one piece."""
    assert [change.seqno for change in found] == list(range(1, len(found) + 1))
    assert len(found) == sum(len(rows) for history in histories for _, rows in history)
    for history in histories:
        for seqno, rows in history:
            here = found[seqno - len(rows) : seqno]
            assert sorted((c.key, c.value or b"") for c in here) == sorted(
                (key, value or b"") for key, value in rows
            )


@pytest.mark.parametrize("turn", range(3))
def test_a_feed_is_the_history_of_concurrent_writers(
    tmp_path: Path, rng: random.Random, turn: int
) -> None:
    histories: list[list[Write]] = [[] for _ in range(WRITERS)]
    live: list[Change] = []
    with shardkv.open(tmp_path / "store", retain_log_bytes=1 << 30, **SMALL) as store:
        watch = store.watch(since=0)
        writers = [
            threading.Thread(target=write, args=(store, random.Random(rng.random()), n, history))
            for n, history in enumerate(histories)
        ]
        total = threading.Thread(target=follow, args=(watch, 1, live))
        for thread in [total, *writers]:
            thread.start()
        while any(thread.is_alive() for thread in writers):
            store.flush()
        for thread in [total, *writers]:
            thread.join()
        follow(watch, store.stats().seqno, live)
        check(live, histories)
        assert list(store.changes()) == live
        middle = rng.randrange(len(live))
        assert list(store.changes(since=middle)) == live[middle:]
    with shardkv.open(tmp_path / "store", retain_log_bytes=1 << 30, **SMALL) as store:
        assert list(store.changes()) == live
        state: dict[bytes, bytes] = {}
        for change in live:
            state[change.key] = change.value or b""
        assert dict(store.scan()) == state


def test_a_feed_that_falls_behind_goes_on_after_what_is_gone(
    tmp_path: Path, rng: random.Random
) -> None:
    """Nothing is skipped in silence: what is missing lies between the last change and the seqno that is told."""
    found: list[Change] = []
    gaps: list[tuple[int, int]] = []
    with shardkv.open(tmp_path / "store", retain_log_bytes=70_000, **SMALL) as store:
        writer = threading.Thread(target=write, args=(store, rng, 0, []))
        watch = store.watch(since=0)
        writer.start()
        while writer.is_alive() or watch.seqno < store.stats().seqno:
            try:
                found.append(watch.get(timeout=0.01))
                if len(found) % 100 == 0:
                    store.flush()
            except TimeoutError:
                continue
            except shardkv.LogGoneError as gone:
                gaps.append((watch.seqno, gone.seqno))
                watch = store.watch(since=gone.seqno)
        writer.join()
        last = store.stats().seqno
    seqnos = [change.seqno for change in found]
    assert seqnos == sorted(set(seqnos))
    assert seqnos[-1] == last
    missing = [seqno for before, after in gaps for seqno in range(before + 1, after + 1)]
    assert sorted(seqnos + missing) == list(range(1, last + 1))


KILLED = """
import os, signal, sys, shardkv
store = shardkv.open(sys.argv[1], shards=2, segment_bytes=(65536, 65536), unflushed_bytes=1 << 20,
                     retain_log_bytes=200_000)
for n in range(int(sys.argv[2])):
    seqno = store.put(b"%d" % (n % 50), b"%d " % (n % 7) * 300, ack="memory" if n % 3 else "disk")
    if n % 40 == 39:
        store.flush()
print(store.put(b"last", b""), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def retained(store: shardkv.Store, most: int) -> list[Change]:
    """Return what the log still has, once the log loop has given back what is beyond the budget."""
    while True:
        log = store.stats().log
        with contextlib.suppress(shardkv.LogGoneError):  # given back since that look
            found = list(store.changes(since=log.oldest_seqno - 1))
            if log.retained_bytes <= most:
                assert found[0].seqno == log.oldest_seqno
                return found


def test_what_is_retained_survives_kills(tmp_path: Path, rng: random.Random) -> None:
    known: dict[int, Change] = {}
    for _ in range(6):
        done = run_script(KILLED, tmp_path / "store", rng.randrange(30, 400))
        acked = int(done.stdout)
        with shardkv.open(tmp_path / "store", shards=2, retain_log_bytes=200_000) as store:
            found = retained(store, 200_000)
            assert [change.seqno for change in found] == list(range(found[0].seqno, acked + 1))
            assert found[-1].key == b"last"
            for change in found:
                assert known.setdefault(change.seqno, change) == change
    assert found[0].seqno > 1
    assert len(known) > len(found)
