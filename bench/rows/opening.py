"""Rows 11 and 12: how long until the first read, after a crash and after a clean close."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench import jobs
from bench.harness import TABLE_SHARDS, Harness
from bench.machine import forget_cached
from bench.result import RowResult, Turn

if TYPE_CHECKING:
    from bench.rows import Row

GB = 1e9


def replay(row: Row, harness: Harness) -> RowResult:
    """Row 11: a writer died with everything in the log; open the store and read one record.

    Every turn replays its own copy of what the writer left: an engine may rewrite its log at open.
    """
    ours, peers = harness.plan.log_records, harness.plan.peer_log_records
    counts = {"shardkv": ours, "plyvel": peers, "rocksdict": peers}
    names = harness.present(*counts)
    with ExitStack() as stack:
        left = {name: stack.enter_context(harness.directory()) for name in names}
        logs = {
            name: jobs.run("fill", name, left[name], counts[name])["log_bytes"] for name in names
        }

        def turn(name: str, cold: bool) -> Turn:
            with harness.directory() as path:
                _copy(left[name], path, cold)
                seconds = jobs.run("replay", name, path, counts[name])["seconds"]
            return {"s_per_gb": seconds / (logs[name] / GB), "seconds": seconds}

        parts = [
            harness.rounds(names, lambda name: turn(name, cold=True), variant="cold cache"),
            harness.rounds(names, lambda name: turn(name, cold=False), variant="warm cache"),
        ]
    settings = {"records": counts, "log_bytes": logs}
    series = tuple(one for part in parts for one in part.series)
    return RowResult(row.name, row.work, series, settings=settings)


def _copy(source: Path, target: Path, cold: bool) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
    if cold:
        forget_cached(target)


def open_clean(row: Row, harness: Harness) -> RowResult:
    """Row 12: open() of a store that was flushed and closed, the first in its process after the imports."""
    (name,) = harness.present("shardkv")
    count = harness.plan.clean_records
    with harness.directory() as path:
        loaded = jobs.run("load", name, path, count, TABLE_SHARDS)
        rounds = harness.rounds([name], lambda name: jobs.run("open_clean", name, path, count))
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    settings = {
        "records": count,
        "shards": TABLE_SHARDS,
        "load_s": loaded["seconds"],
        "bytes": size,
    }
    return RowResult(row.name, row.work, rounds.series, settings=settings)
