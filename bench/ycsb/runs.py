"""The `ycsb` suite: every engine, durability and kind of client takes its turn at each workload.

A store is loaded once for each engine; every turn begins with a copy of it.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engines import ENGINES, Durability, Engine, Setup, engine_class, open_engine
from bench.engines.behind import synced_behind
from bench.harness import Contender, Harness
from bench.plans import Plan
from bench.result import RowResult, Turn, Unavailable
from bench.ycsb import tasks, threads
from bench.ycsb.clients import Job, Outcome, Pace, Table, check_all
from bench.ycsb.keys import keys
from bench.ycsb.latency import metrics
from bench.ycsb.plan import YcsbPlan
from bench.ycsb.records import RECORD_BYTES, CheckedValues, Damaged, RandomValues, Values
from bench.ycsb.window import InsertWindow
from bench.ycsb.workloads import WORKLOADS, Kind, Size, Stream, Workload, streams

if TYPE_CHECKING:
    from bench.rows import Row

PREFIX = "ycsb-"
#: Files beside the records of one copy: logs, tables that are being rewritten, half-filled pages.
SPACE_FACTOR = 2.5
SPARE_BYTES = 512 << 20
KEY_BYTES = 23
KEY_STEP = 1 << 16
SHOWN = ("p50_us", "p99_us", "p999_us", "max_us")
ONE_LOOP = "shardkv.aio alone; the other engines have threads only"


@dataclass(frozen=True)
class Clients:
    """A kind of client, and how many of them."""

    count: int
    on_loop: bool

    def __str__(self) -> str:
        kind = "task" if self.on_loop else "thread"
        return f"{self.count:,} {kind}{'' if self.count == 1 else 's'}"


def row_name(workload: str) -> str:
    """Return the name of the row of a workload."""
    return PREFIX + workload


def workload_row(row: Row, harness: Harness) -> RowResult:
    """Run one workload on all engines."""
    workload, plan = WORKLOADS[row.name.removeprefix(PREFIX)], harness.plan.ycsb
    names = harness.present(*ENGINES)
    turns: dict[Contender, Callable[[], Turn]] = {}
    left_out: dict[str, str] = {}
    for level in map(Durability, plan.durability):
        for clients in _clients(plan):
            for name in names:
                variant = f"{level.value}, {clients}"
                kind = engine_class(name)
                if clients.on_loop and kind.on_loop is Engine.on_loop:
                    continue  # told once, by ONE_LOOP
                if reason := _reason(kind, workload, level):
                    left_out[f"{name}, {variant}"] = reason
                else:
                    turns[name, variant] = functools.partial(
                        _turn, harness, name, workload, level, clients
                    )
    if not turns:
        raise Unavailable("; ".join(f"{who}: {why}" for who, why in left_out.items()))
    rounds = harness.interleave(turns, synced=plan.durability != ("none",))
    settings = {
        "durability": ", ".join(plan.durability),
        "record_bytes": RECORD_BYTES,
        "asyncio": ONE_LOOP,
        "left_out": left_out,
    }
    return RowResult(
        row.name, row.work, rounds.series, rounds.sync_us, settings, columns=_columns(workload)
    )


def disk_bytes(plan: Plan) -> float:
    """Return what a workload needs on disk: the loaded stores of all engines, and a copy of one."""
    inserts = plan.ycsb.operations * max(WORKLOADS[name].inserts for name in plan.ycsb.workloads)
    copy = (plan.ycsb.records + inserts) * RECORD_BYTES * SPACE_FACTOR
    return SPARE_BYTES + copy * (len(ENGINES) + 1)


def _clients(plan: YcsbPlan) -> list[Clients]:
    by_threads = [Clients(count, on_loop=False) for count in plan.threads]
    return by_threads + [Clients(count, on_loop=True) for count in plan.tasks]


def _reason(kind: type[Engine], workload: Workload, level: Durability) -> str | None:
    """Return why an engine cannot take part, or None."""
    if level not in kind.levels:
        return f"no durability level {level.value!r}"
    if workload.shares[Kind.SCAN] and not kind.ordered:
        return "keeps no key order, so that it has no scans"
    return None


def _columns(workload: Workload) -> dict[str, tuple[str, ...]]:
    names = [kind.name.lower() for kind in workload.kinds]
    latencies = {
        f"{name}, us: p50 / p99 / p99.9 / max": tuple(f"{name}_{one}" for one in SHOWN)
        for name in names
    }
    return {"per_s": ("per_s",), **latencies}


def _turn(
    harness: Harness, name: str, workload: Workload, level: Durability, clients: Clients
) -> Turn:
    plan = harness.plan.ycsb
    loaded = _loaded(harness, name)
    job = _job(workload, Size(plan.records, plan.operations, clients.count), plan.integrity)
    setup = _setup(level, plan)
    with harness.directory() as path:
        shutil.copytree(loaded, path, dirs_exist_ok=True)
        os.sync()
        with open_engine(name, path, setup) as engine, synced_behind(engine):
            outcome = _run(engine, job, plan, clients)
        if missed := [key for log in outcome.logs for key in log.missed]:
            raise Damaged(
                f"{name} did not find {len(missed)} keys that are there, as {missed[0]!r}"
            )
        if plan.integrity:
            with open_engine(name, path, setup) as engine:
                check_all(engine.session(), job.table)
    return metrics(outcome, workload.kinds)


def _setup(level: Durability, plan: YcsbPlan) -> Setup:
    return Setup(level, cache_bytes=plan.cache_bytes, record_bytes=KEY_BYTES + RECORD_BYTES)


def _run(engine: Engine, job: Job, plan: YcsbPlan, clients: Clients) -> Outcome:
    pace = Pace(plan.warm_seconds, plan.seconds, plan.rate)
    if clients.on_loop:
        return asyncio.run(tasks.run(engine, job, pace, check=plan.integrity))
    return threads.run(engine, job, pace, check=plan.integrity)


def _loaded(harness: Harness, name: str) -> Path:
    """Return the directory of a store of engine `name` that is loaded, flushed and closed."""
    plan, path = harness.plan.ycsb, harness.scratch / f"ycsb-{name}"
    if not path.exists():
        path.mkdir()
        setup = _setup(Durability.MEMORY, plan)
        with open_engine(name, path, setup) as engine:
            session = engine.session()
            for batch in _values(plan.integrity).batches(_keys(plan.records)[: plan.records]):
                session.put_many(batch)
            session.close()
            engine.sync()
            engine.flush()
    return path


def _job(workload: Workload, size: Size, integrity: bool) -> Job:
    its_streams = _streams(workload, size)
    inserts = sum(int((stream.kinds == Kind.INSERT).sum()) for stream in its_streams)
    table = Table(_keys(size.records + inserts), _values(integrity), InsertWindow(size.records))
    return Job(workload, its_streams, table)


def _keys(count: int) -> list[bytes]:
    """Return at least `count` keys: turns with a few inserts more or less share one list."""
    return _rounded_keys(-(-count // KEY_STEP) * KEY_STEP)


@functools.lru_cache(maxsize=2)
def _rounded_keys(count: int) -> list[bytes]:
    return keys(count)


@functools.lru_cache(maxsize=4)  # one for each number of clients
def _streams(workload: Workload, size: Size) -> list[Stream]:
    return streams(workload, size)


@functools.lru_cache(maxsize=1)
def _values(integrity: bool) -> Values:
    return CheckedValues() if integrity else RandomValues()
