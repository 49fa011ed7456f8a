"""Rows 1, 2, 4 and 5: puts one by one, together, unsynced, and in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.engines import Durability, Setup
from bench.harness import Harness, Rounds, stopwatch
from bench.loops import Span
from bench.loops import put_together as run_together
from bench.records import split
from bench.result import RowResult, Turn

if TYPE_CHECKING:
    from bench.rows import Row

SYNCED = Setup(Durability.DISK)
UNSYNCED = Setup(Durability.MEMORY)
BATCH_RECORDS = 1000
WARM_BATCHES = 10
BATCH_SECONDS = 2.0
WARM_PUTS = 2000


def put_alone(row: Row, harness: Harness) -> RowResult:
    """Row 1: one thread, every put synced before it returns."""
    names = harness.present("shardkv", "plyvel", "rocksdict", "py-lmdb", "sqlite3")
    rounds = _durable_puts(harness, names, threads=1, variant="")
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us)


def put_together(row: Row, harness: Harness) -> RowResult:
    """Row 2: threads that share syncs; all engines at 64, the two that group commits below."""
    few = harness.present("shardkv", "plyvel")
    every = harness.present("shardkv", "plyvel", "rocksdict", "py-lmdb", "sqlite3")
    parts = [
        _durable_puts(harness, names, threads, variant=f"{threads} threads")
        for threads, names in ((4, few), (16, few), (64, every))
    ]
    series = tuple(one for part in parts for one in part.series)
    return RowResult(
        row.name, row.work, series, tuple(sync for part in parts for sync in part.sync_us)
    )


def _durable_puts(harness: Harness, names: list[str], threads: int, variant: str) -> Rounds:
    span = Span(harness.plan.warm_seconds, harness.plan.seconds)

    def turn(name: str) -> Turn:
        with harness.store(name, SYNCED) as engine:
            return run_together(engine, harness.pool, threads, span)

    return harness.rounds(names, turn, variant=variant, synced=True)


def submit_loop(row: Row, harness: Harness) -> RowResult:
    """Row 4: one thread writes as fast as it can, then syncs. Peers are judged without the sync."""

    def turn(name: str) -> Turn:
        with harness.store(name, UNSYNCED) as engine:
            session = engine.session()
            put, pool = session.put, harness.pool
            for key, value in pool[:WARM_PUTS]:
                put(key, value)
            rest = pool[WARM_PUTS:]
            with stopwatch() as seconds:
                for key, value in rest:
                    put(key, value)
                looped = seconds()
                engine.sync()
                synced = seconds()
            session.close()
        return {"synced_per_s": len(rest) / synced, "loop_per_s": len(rest) / looped}

    rounds = harness.rounds(harness.present("shardkv", "plyvel", "rocksdict"), turn, synced=True)
    return RowResult(
        row.name, row.work, rounds.series, rounds.sync_us, {"records": harness.plan.loop_records}
    )


def put_batches(row: Row, harness: Harness) -> RowResult:
    """Row 5: batches of 1,000, each synced before the next; slow peers stop early."""
    batches = split(harness.pool, BATCH_RECORDS)
    warm, timed = batches[:WARM_BATCHES], batches[WARM_BATCHES:]

    def turn(name: str) -> Turn:
        done = 0
        with harness.store(name, SYNCED) as engine:
            session = engine.session()
            for batch in warm:
                session.put_many(batch)
            with stopwatch() as seconds:
                for batch in timed:
                    session.put_many(batch)
                    done += len(batch)
                    if (spent := seconds()) > BATCH_SECONDS:
                        break
            session.close()
        return {"per_s": done / spent, "batch_us": spent / done * BATCH_RECORDS * 1e6}

    names = harness.present("shardkv", "plyvel", "rocksdict", "py-lmdb", "sqlite3")
    rounds = harness.rounds(names, turn, synced=True)
    settings = {"records": harness.plan.loop_records}
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, settings)
