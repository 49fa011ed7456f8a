"""The rows of the benchmark: numbered ones are those of the target table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.harness import Harness
from bench.result import RowResult
from bench.rows import atomic, counters, memory, opening, reads, ring, tasks, writes


@dataclass(frozen=True)
class Row:
    """One row."""

    name: str
    work: str
    measure: Callable[[Row, Harness], RowResult]


ROWS = {
    row.name: row
    for row in (
        Row("1", "put, ack disk, 1 thread", writes.put_alone),
        Row("2", "put, ack disk, 4 / 16 / 64 threads", writes.put_together),
        Row("3", "put, ack disk, 1,000 asyncio tasks", tasks.put_from_tasks),
        Row("4", "submit() loop, then one sync", writes.submit_loop),
        Row("5", "put_many(1,000), ack disk", writes.put_batches),
        Row("8", "get, cached, flushed", reads.get_cached),
        Row("9", "ordered scan, 16 shards, flushed", reads.scan_all),
        Row("11", "replay to first read", opening.replay),
        Row("12", "open a clean store, 16 shards", opening.open_clean),
        Row("13", "heap per unflushed record", memory.heap),
        Row("14", "hash 16 B + ring lookup in C, 64 shards", ring.lookups),
        Row("counter", "increments of one hot key, each synced", counters.count),
        Row("atomic", "get_entry, add, cas, incr beside put, 1 thread", atomic.one_step),
    )
}
