"""The suites: words of the command line, each a few rows that belong together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.engines import ENGINES
from bench.plans import Plan
from bench.rows import (
    SMALL_BYTES,
    Row,
    atomic,
    counters,
    ingest,
    memory,
    opening,
    peers,
    queueing,
    reads,
    ring,
    scaling,
    tail,
    tasks,
    writes,
)
from bench.ycsb import runs
from bench.ycsb.plan import NAMES
from bench.ycsb.workloads import WORKLOADS

EVERY = "all"  #: the word for all suites
STORED_BYTES = 400  #: what a record takes on disk at most, its log and half-full pages included


@dataclass(frozen=True)
class Suite:
    """One suite."""

    name: str
    about: str
    rows: tuple[Row, ...]


def _tables(plan: Plan) -> float:
    return SMALL_BYTES + len(ENGINES) * plan.table_records * STORED_BYTES


def _logs(plan: Plan) -> float:
    return SMALL_BYTES + 2 * (plan.log_records + 2 * plan.peer_log_records) * STORED_BYTES


def _ingest(plan: Plan) -> float:
    return (
        SMALL_BYTES
        + max(plan.ingest_records, plan.beyond_records, plan.device_records) * STORED_BYTES
    )


def _clean(plan: Plan) -> float:
    return SMALL_BYTES + plan.clean_records * STORED_BYTES


def _ycsb() -> tuple[Row, ...]:
    return tuple(
        Row(runs.row_name(name), WORKLOADS[name].about, runs.workload_row, runs.disk_bytes)
        for name in NAMES
    )


#: In the order of a run.
SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "micro",
            "single operations beside the peers",
            (
                Row("1", "put, ack disk, 1 thread", writes.put_alone),
                Row("2", "put, ack disk, 4 / 16 / 64 threads", writes.put_together),
                Row("3", "put, ack disk, 1,000 asyncio tasks", tasks.put_from_tasks),
                Row("4", "submit() loop, then one sync", writes.submit_loop),
                Row("5", "put_many(1,000), ack disk", writes.put_batches),
                Row("8", "get, cached, flushed", reads.get_cached, _tables),
                Row("9", "ordered scan, 16 shards, flushed", reads.scan_all, _tables),
                Row("14", "hash 16 B + ring lookup in C, 64 shards", ring.lookups),
                Row("counter", "increments of one hot key, each synced", counters.count),
                Row("atomic", "get_entry, add, cas, incr beside put, 1 thread", atomic.one_step),
            ),
        ),
        Suite(
            "sustained",
            "loads that are flushed: rate, latency, bytes written, space",
            (
                Row("6", "ingest until all is flushed", ingest.equal_budget, _ingest),
                Row("7", "ingest, data 40x the budget", ingest.beyond_budget, _ingest),
                Row("10", "put, ack disk, while flushing", tail.put_while_flushing),
                Row(
                    "15", "bytes written to the device per byte put", ingest.device_writes, _ingest
                ),
            ),
        ),
        Suite(
            "recovery",
            "from a crash or a clean close to the first read",
            (
                Row("11", "replay to first read", opening.replay, _logs),
                Row("12", "open a clean store, 16 shards", opening.open_clean, _clean),
            ),
        ),
        Suite(
            "memory",
            "what unflushed records cost in the heap",
            (Row("13", "heap per unflushed record", memory.heap),),
        ),
        Suite(
            "queueing",
            "log and flush as queues: how long one waits, beside what theory says",
            (Row("queueing", "random arrivals at the log and at the flush", queueing.stages),),
        ),
        Suite(
            "peers",
            "what the levels quorum and all cost, and how fast a peer is brought up to date",
            (
                Row(
                    "levels",
                    "writes at each level, with 0 to 2 peers on the same disk",
                    peers.levels,
                ),
                Row("catch-up", "until a peer has everything", peers.catch_up),
                Row("care", "promote after a loss to the first write; scrub", peers.care),
            ),
        ),
        Suite(
            "scaling",
            "how figures change with threads, tasks, shards and the size of values",
            (
                Row("threads", "put, ack disk, 1 to 64 threads", scaling.threads),
                Row("tasks", "put, ack disk, 1 to 10,000 asyncio tasks", scaling.tasks),
                Row("shards", "ingest until all is flushed, 1 to 32 shards", scaling.shards),
                Row("values", "put, ack disk, values of 16 B to 1 MiB", scaling.values),
            ),
        ),
        Suite("ycsb", "workloads A-F; alone, it has options of its own", _ycsb()),
    )
}

#: What runs when no suite is named.
USUAL = ("micro", "recovery", "memory")

ROWS = {row.name: row for suite in SUITES.values() for row in suite.rows}


def rows_of(names: Iterable[str]) -> list[str]:
    """Return the names of all rows of the suites in `names`, each once, in the order of a run."""
    wanted = set(names)
    return [
        row.name
        for suite in SUITES.values()
        if suite.name in wanted or EVERY in wanted
        for row in suite.rows
    ]
