"""Row 10: latencies of synced puts while the shards are written, beside those while they are not.

Twice: beside nothing but a flush, which is told to go as fast as it can; and beside a load from another
thread, once with a budget that it never fills and once with one that it fills all the time, so that the
store flushes at a pace of its own.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import shardkv
from bench.engines import Pairs
from bench.harness import Harness
from bench.records import records, split
from bench.result import RowResult, Traced
from bench.targets import SUBJECT
from bench.timeline import timed_puts

if TYPE_CHECKING:
    from bench.rows import Row

NO_FLUSH_BYTES = 4 << 30
SMALL_BUDGET_BYTES = 8 << 20
BATCH_RECORDS = 1000
TABLE_SEED, PUT_SEED = 101, 102
PUT_RECORDS = 50_000


def put_while_flushing(row: Row, harness: Harness) -> RowResult:
    """Row 10: one thread puts; all four ways take turns within each round."""
    harness.present(SUBJECT)
    plan = harness.plan
    tail = Tail(harness)
    ways = {
        "idle": partial(tail.alone, flushing=False),
        "flushing": partial(tail.alone, flushing=True),
        "load, idle": partial(tail.beside_load, NO_FLUSH_BYTES),
        "load, flushing": partial(tail.beside_load, SMALL_BUDGET_BYTES),
    }
    rounds = harness.interleave({(SUBJECT, way): turn for way, turn in ways.items()}, synced=True)
    settings = {
        "records": plan.tail_records,
        "load_per_s": plan.load_per_s,
        "budget_bytes": SMALL_BUDGET_BYTES,
    }
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, settings)


class Tail:
    """The turns; each has a fresh store with flushed records, so that a flush meets trees."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._table = records(harness.plan.tail_records, TABLE_SEED)
        self._puts = records(PUT_RECORDS, PUT_SEED)

    def alone(self, flushing: bool) -> Traced:
        """Put while nothing happens, or for as long as a flush of the pool takes."""
        with self._store(NO_FLUSH_BYTES) as store:
            _put_all(store, self._harness.pool)
            store.sync()
            if not flushing:
                return self._measured(store, None)
            with ThreadPoolExecutor(1) as worker:
                done = threading.Event()
                flush = worker.submit(_then, store.flush, done)
                traced = self._measured(store, done)
                flush.result()
        return traced

    def beside_load(self, budget_bytes: int) -> Traced:
        """Put while another thread puts unsynced batches at a steady rate."""
        stop = threading.Event()
        with self._store(budget_bytes) as store, ThreadPoolExecutor(1) as worker:
            load = worker.submit(
                _load, store, self._harness.pool, self._harness.plan.load_per_s, stop
            )
            try:
                traced = self._measured(store, None)
            finally:
                stop.set()
            load.result()
        return traced

    @contextmanager
    def _store(self, budget_bytes: int) -> Iterator[shardkv.Store]:
        with self._harness.directory() as path:
            store = shardkv.open(path, unflushed_bytes=budget_bytes)
            try:
                _put_all(store, self._table)
                store.flush()
                yield store
            finally:
                store.close(flush=False)

    def _measured(self, store: shardkv.Store, done: threading.Event | None) -> Traced:
        clock = time.perf_counter_ns
        if done is None:
            end = clock() + int(self._harness.plan.tail_seconds * 1e9)
            line = timed_puts(store.put, itertools.cycle(self._puts), clock, lambda now: now > end)
        else:
            line = timed_puts(
                store.put, itertools.cycle(self._puts), clock, lambda _: done.is_set()
            )
        seconds = (line.ends[-1] - line.begin_ns) / 1e9
        return Traced(
            {"per_s": len(line.ends) / seconds, "seconds": seconds, **line.percentiles()},
            line.curves(),
        )


def _then(work: Callable[[], object], done: threading.Event) -> None:
    try:
        work()
    finally:
        done.set()


def _put_all(store: shardkv.Store, pairs: Pairs) -> None:
    for batch in split(pairs, BATCH_RECORDS):
        store.put_many(batch, ack="memory")


def _load(store: shardkv.Store, pool: Pairs, per_s: int, stop: threading.Event) -> None:
    step = BATCH_RECORDS / per_s
    due = time.monotonic()
    for batch in itertools.cycle(split(pool, BATCH_RECORDS)):
        store.put_many(batch, ack="memory")
        due += step
        if stop.wait(max(0.0, due - time.monotonic())):
            return
