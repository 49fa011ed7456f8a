"""Close during traffic: everybody is told ClosedError, nobody crashes, nothing acked is lost."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stress.traffic import Team, answer_of, together

import shardkv

SMALL = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}
ROUNDS = 100
Call = Callable[[shardkv.Store, bytes, int], object]


def read_cut(store: shardkv.Store, key: bytes, turn: int) -> None:
    with store.snapshot() as cut:
        cut.get(key)
        cut.get_many([key, b"a"])
        deque(cut.scan(limit=turn % 50), 0)


def put_and_delete_many(store: shardkv.Store, key: bytes, turn: int) -> None:
    store.put_many({b"many %03d" % n: b"x" * 50 for n in range(200)})
    store.delete_many([b"many %03d" % n for n in range(turn % 200)])


CALLS: tuple[Call, ...] = (
    lambda store, key, turn: store.put(key, b"v" * (turn * 997 % 20_000)),
    lambda store, key, turn: store.put(key, b"w", ack="memory"),
    lambda store, key, turn: (store.get(key), key in store, store.get_many([key])),
    lambda store, key, turn: deque(store.scan(reverse=turn % 2 == 0), 0),
    lambda store, key, turn: (store.flush(), store.sync()),
    read_cut,
    put_and_delete_many,
    lambda store, key, turn: (len(store), store.stats(), store.pop(key, None), store.delete(key)),
    lambda store, key, turn: store.submit(key, b"t").wait(),
)


def call_until_closed(
    store: shardkv.Store, call: Call, seed: int, begun: threading.Barrier
) -> None:
    rng, turn = random.Random(seed), 0
    begun.wait()
    try:
        while True:
            call(store, b"key %d" % rng.randrange(500), turn)
            turn += 1
    except shardkv.ClosedError:
        return


def test_closing_in_full_traffic_tells_everybody_and_harms_nobody(tmp_path: Path) -> None:
    for turn in range(ROUNDS):
        store = shardkv.open(tmp_path / "store", shards=2, **SMALL)
        begun = threading.Barrier(len(CALLS) + 1)

        def close(store: shardkv.Store, begun: threading.Barrier, turn: int = turn) -> None:
            begun.wait()
            for number in range(turn % 8):
                store.put(b"acked %d" % number, b"%d" % turn)
            store.close(flush=turn % 2 == 0)

        callers = [
            partial(call_until_closed, store, call, 100 * turn + number, begun)
            for number, call in enumerate(CALLS)
        ]
        Team().run([partial(close, store, begun), *callers])
    with shardkv.open(tmp_path / "store") as store:
        last = {b"acked %d" % number: turn for turn in range(ROUNDS) for number in range(turn % 8)}
        assert store.get_many(last) == {key: b"%d" % turn for key, turn in last.items()}


def test_closing_twice_at_once_is_closing(tmp_path: Path) -> None:
    for _ in range(20):
        store = shardkv.open(tmp_path / "store", shards=1, **SMALL)
        store.put(b"a", b"b")
        together(4, lambda number, store=store: store.close())
        assert store.closed


def test_many_threads_open_use_and_close_one_path(tmp_path: Path) -> None:
    shardkv.open(tmp_path / "store", shards=1, **SMALL).close()

    def use(number: int) -> None:
        for turn in range(40):
            with shardkv.open(tmp_path / "store", **SMALL) as store:
                store.put(b"%d" % number, b"%d" % turn)
                assert store[b"%d" % number] == b"%d" % turn

    together(5, use)


def test_closing_wakes_every_loop_at_once(tmp_path: Path) -> None:
    """A loop once missed the word to stop, when it came between its look and its sleep: a second passed."""
    spent = []
    for turn in range(20):
        store = shardkv.open(tmp_path / "store", **SMALL)
        store.put(b"a", b"%d" % turn)
        began = time.monotonic()
        store.close(flush=False)
        spent.append(time.monotonic() - began)
    assert statistics.median(spent) < 0.9, "a slow disk takes its time, but not that of a sleep"


SIGNALS = """
import signal, sys, shardkv
signal.signal(signal.SIGALRM, lambda *_: None)
for turn in range(1, 21):
    store = shardkv.open(sys.argv[1], shards=1)
    for _ in range(500):
        seqno = store.put(b"key", b"%d" % turn * 10_000, ack="memory")
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    store.close(flush=False)
    signal.setitimer(signal.ITIMER_REAL, 0)
    with shardkv.open(sys.argv[1]) as store:
        assert store.stats().seqno == seqno
        assert store[b"key"] == b"%d" % turn * 10_000
print("well")
"""


def test_signals_while_a_store_is_closed_keep_nothing_from_becoming_durable(tmp_path: Path) -> None:
    """One that arrived while the last sync was waited for ended the wait: what came after that sync was lost."""
    assert answer_of(SIGNALS, tmp_path / "store") == "well"
