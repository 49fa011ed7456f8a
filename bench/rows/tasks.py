"""Row 3: 1,000 asyncio tasks whose puts are all synced, beside what threads reach with a peer."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import shardkv.aio
from bench.engines import Pairs
from bench.harness import Harness
from bench.loops import Span, put_together, write_on_loop
from bench.records import split
from bench.result import RowResult, Turn
from bench.rows.writes import SYNCED
from bench.targets import SUBJECT

if TYPE_CHECKING:
    from bench.rows import Row

TASKS = 1000
#: A peer has no event loop of its own: its best number of threads stands for it.
PEER_THREADS = {
    "plyvel": (1, 4, 16, 64),  # the one that gains by many threads
    "rocksdict": (1, 4, 16),
    "py-lmdb": (1, 4, 16),
    "sqlite3": (1, 4, 16),
}


def put_from_tasks(row: Row, harness: Harness) -> RowResult:
    """Row 3: all contenders take turns within each round."""
    harness.present(SUBJECT)
    plan = harness.plan
    span = Span(plan.warm_seconds, plan.seconds)

    def threads(name: str, count: int) -> Turn:
        with harness.store(name, SYNCED) as engine:
            return put_together(engine, harness.pool, count, span)

    def tasks() -> Turn:
        with harness.directory() as path:
            return asyncio.run(put_tasks(path, harness.pool, TASKS, span))

    turns = {(SUBJECT, f"{TASKS:,} tasks"): tasks}
    for name in harness.present(*PEER_THREADS):
        for count in PEER_THREADS[name]:
            turns[name, "1 thread" if count == 1 else f"{count} threads"] = partial(
                threads, name, count
            )
    rounds = harness.interleave(turns, synced=True)
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us)


async def put_tasks(path: Path, pool: Pairs, tasks: int, span: Span) -> Turn:
    """Let `tasks` tasks of the running loop put the records of `pool` into a fresh store, each put synced."""
    store = await shardkv.aio.open(path)
    try:
        shares = split(pool, len(pool) // tasks)[:tasks]
        return (await write_on_loop(store.put, shares, span)).turn
    finally:
        await store.close(flush=False)
