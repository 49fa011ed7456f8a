"""How figures change with the number of threads, tasks and shards, and with the size of values."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bench.engines import Durability, Pairs, Setup
from bench.harness import Contender, Harness
from bench.loops import Span, put_together
from bench.records import KEY_BYTES
from bench.result import RowResult, Traced, Turn, along
from bench.rows.ingest import EQUAL_SHARE, Ingest, ingest
from bench.rows.tasks import put_tasks
from bench.targets import SUBJECT

if TYPE_CHECKING:
    from bench.rows import Row

THREADS = (1, 2, 4, 8, 16, 32, 64)
SHARDS = (1, 2, 4, 8, 16, 32)
TASKS = (1, 10, 100, 1_000, 10_000)
VALUE_BYTES = (16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20)
SYNCED = Setup(Durability.DISK)
VALUES_SEED = 31
VALUES_BYTES = 32 << 20  # of all values of one size
MOST_VALUES = 50_000

Turns = dict[Contender, Callable[[], Turn | Traced]]


def threads(row: Row, harness: Harness) -> RowResult:
    """Put from 1 to 64 threads, each put synced."""
    names = harness.present("shardkv", "plyvel")

    def turn(name: str, count: int) -> Turn:
        with harness.store(name, SYNCED) as engine:
            return put_together(engine, harness.pool, count, _span(harness))

    at = {_many(count, "thread"): count for count in THREADS}
    turns: Turns = {
        (name, variant): partial(turn, name, count)
        for variant, count in at.items()
        for name in names
    }
    return _result(row, harness, turns, "per_s", "threads", at)


def tasks(row: Row, harness: Harness) -> RowResult:
    """Put from 1 to 10,000 tasks of one event loop, each put synced."""
    harness.present(SUBJECT)

    def turn(count: int) -> Turn:
        with harness.directory() as path:
            return asyncio.run(put_tasks(path, harness.pool, count, _span(harness)))

    at = {_many(count, "task"): count for count in TASKS}
    turns: Turns = {(SUBJECT, variant): partial(turn, count) for variant, count in at.items()}
    return _result(row, harness, turns, "per_s", "tasks", at)


def shards(row: Row, harness: Harness) -> RowResult:
    """Load random records until all are flushed, into 1 to 32 shards."""
    harness.present(SUBJECT)
    load = Ingest(harness.plan.shards_records, EQUAL_SHARE)

    def turn(count: int) -> Turn:
        return ingest(harness, SUBJECT, load, count).turn

    at = {_many(count, "shard"): count for count in SHARDS}
    turns: Turns = {(SUBJECT, variant): partial(turn, count) for variant, count in at.items()}
    return _result(row, harness, turns, "per_s", "shards", at)


def values(row: Row, harness: Harness) -> RowResult:
    """Put values of 16 B to 1 MiB from one thread, each put synced."""
    names = harness.present("shardkv", "plyvel", "rocksdict", "py-lmdb")
    source = random.Random(VALUES_SEED)
    pool = source.randbytes(VALUES_BYTES)
    at = {_size(size): size for size in VALUE_BYTES}
    pairs = {size: _pairs(source, pool, size) for size in VALUE_BYTES}

    def turn(name: str, size: int) -> Turn:
        with harness.store(name, SYNCED) as engine:
            found = put_together(engine, pairs[size], 1, _span(harness))
        return {**found, "mb_per_s": found["per_s"] * (size + KEY_BYTES) / 1e6}

    turns: Turns = {
        (name, variant): partial(turn, name, size) for variant, size in at.items() for name in names
    }
    return _result(row, harness, turns, "mb_per_s", "value_bytes", at)


def _pairs(source: random.Random, pool: bytes, size: int) -> Pairs:
    count = min(len(pool) // size, MOST_VALUES)
    return [(source.randbytes(KEY_BYTES), pool[at * size : (at + 1) * size]) for at in range(count)]


def _result(
    row: Row,
    harness: Harness,
    turns: Turns,
    metric: str,
    x_name: str,
    at: Mapping[str, int],
) -> RowResult:
    rounds = harness.interleave(turns, synced=True)
    series = along(rounds.series, metric, metric, x_name, at)
    return RowResult(row.name, row.work, series, rounds.sync_us)


def _span(harness: Harness) -> Span:
    return Span(harness.plan.warm_seconds, harness.plan.scaling_seconds)


def _many(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def _size(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"
