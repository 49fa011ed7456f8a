"""Rows 8 and 9: gets and an ordered scan over a table that is flushed and in the page cache."""

from __future__ import annotations

import itertools
import random
from collections import deque
from typing import TYPE_CHECKING

from bench.harness import TABLE_SHARDS, Harness, stopwatch
from bench.result import RowResult, Turn

if TYPE_CHECKING:
    from bench.rows import Row

SEED = 8
CHECKED_GETS = 1000


def get_cached(row: Row, harness: Harness) -> RowResult:
    """Row 8: one thread gets keys that exist, in random order."""
    rows = harness.table_records
    wanted = random.Random(SEED).choices(rows, k=harness.plan.gets)
    keys = [key for key, _ in wanted]
    names = harness.present("shardkv", "py-lmdb", "plyvel", "rocksdict", "sqlite3")
    for name in names:
        _check_gets(harness, name, wanted)

    def turn(name: str) -> Turn:
        session = harness.table(name).session()
        get = session.get
        with stopwatch() as seconds:
            for key in keys:
                get(key)
            spent = seconds()
        session.close()
        return {"per_s": len(keys) / spent}

    rounds = harness.rounds(names, turn)
    settings = {"records": len(rows), "gets": len(keys), "shards": TABLE_SHARDS}
    return RowResult(row.name, row.work, rounds.series, settings=settings)


def _check_gets(harness: Harness, name: str, wanted: list[tuple[bytes, bytes]]) -> None:
    session = harness.table(name).session()
    for key, value in wanted[:CHECKED_GETS]:
        if session.get(key) != value:
            raise AssertionError(f"{name} lost a record of the table")
    for key, _ in wanted[CHECKED_GETS:]:
        session.get(key)  # warms the page cache and the engine's own
    session.close()


def scan_all(row: Row, harness: Harness) -> RowResult:
    """Row 9: every record in key order, through the engine's iterator, consumed in C."""
    rows = harness.table_records
    names = harness.present("shardkv", "py-lmdb", "plyvel", "rocksdict", "sqlite3")
    for name in names:
        _check_scan(harness, name)

    def turn(name: str) -> Turn:
        engine = harness.table(name)
        with stopwatch() as seconds:
            deque(engine.scan(), maxlen=0)
            spent = seconds()
        return {"per_s": len(rows) / spent}

    rounds = harness.rounds(names, turn)
    settings = {"records": len(rows), "shards": TABLE_SHARDS}
    return RowResult(row.name, row.work, rounds.series, settings=settings)


def _check_scan(harness: Harness, name: str) -> None:
    pairs = itertools.zip_longest(harness.table(name).scan(), harness.table_records)
    if any(found != expected for found, expected in pairs):
        raise AssertionError(f"{name} does not scan the table in order")
