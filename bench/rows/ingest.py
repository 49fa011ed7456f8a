"""Rows 6, 7 and 15: random records in batches until all of them are in tables, under a memory budget.

The budget bounds what an engine may hold outside its tables: shardkv's `unflushed_bytes`, the write buffer
of RocksDB and LevelDB. It does not bound the page cache, which serves all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bench import device
from bench.engines import Durability, Engine, Setup, open_engine
from bench.harness import Contender, Harness, Rounds
from bench.records import RECORD_BYTES, chunks, split
from bench.result import Curve, RowResult, Traced, Turn, along
from bench.timeline import Timeline

if TYPE_CHECKING:
    from bench.rows import Row

BATCH_RECORDS = 1000
LEAST_BUDGET_BYTES = 1 << 20
EQUAL_SHARE = 0.23  # 256 MiB, shardkv's default, for 10 M records
BEYOND_SHARE = 1 / 40
SHARES = (0.03, 0.1, 0.3, 1.0)
LEVELS = {"synced batches": Durability.DISK, "unsynced": Durability.MEMORY}
GAUGE_NS = 100_000_000


@dataclass(frozen=True)
class Ingest:
    """One load.

    Args:
        records: how many.
        budget_share: of their bytes, is the engine's memory budget.
        durability: what each batch waits for.
        seconds: a turn whose puts take longer stops there, which flatters it: its trees are smaller.
    """

    records: int
    budget_share: float
    durability: Durability = Durability.DISK
    seconds: float = float("inf")

    @property
    def budget_bytes(self) -> int:
        """Return the budget, never below LEAST_BUDGET_BYTES."""
        return max(int(self.records * RECORD_BYTES * self.budget_share), LEAST_BUDGET_BYTES)


def equal_budget(row: Row, harness: Harness) -> RowResult:
    """Row 6: until all is flushed, at a budget of 23 % of the data."""
    plan = harness.plan
    names = harness.present("shardkv", "rocksdict", "plyvel")
    loads = {
        (name, level): Ingest(plan.ingest_records, EQUAL_SHARE, durability, plan.ingest_seconds)
        for level, durability in LEVELS.items()
        for name in names
    }
    return _result(row, _rounds(harness, loads), loads)


def beyond_budget(row: Row, harness: Harness) -> RowResult:
    """Row 7: data 40 times the budget."""
    plan = harness.plan
    load = Ingest(plan.beyond_records, BEYOND_SHARE, seconds=plan.beyond_seconds)
    loads = {(name, ""): load for name in harness.present("shardkv", "rocksdict", "py-lmdb")}
    return _result(row, _rounds(harness, loads), loads)


def device_writes(row: Row, harness: Harness) -> RowResult:
    """Row 15: bytes that reach the device for each byte put, over the budget's share of the data."""
    loads = {
        (name, f"budget {share:.0%}"): Ingest(harness.plan.device_records, share)
        for share in SHARES
        for name in harness.present("shardkv", "rocksdict")
    }
    rounds = _rounds(harness, loads)
    plain = [replace(one, curves=()) for one in rounds.series]
    at = {f"budget {share:.0%}": share for share in SHARES}
    series = along(plain, "device_per_byte", "write_amplification", "budget_share", at)
    return _result(row, replace(rounds, series=series), loads)


def _rounds(harness: Harness, loads: Mapping[Contender, Ingest]) -> Rounds:
    turns = {
        contender: partial(ingest, harness, contender[0], load) for contender, load in loads.items()
    }
    return harness.interleave(turns, synced=True)


def _result(row: Row, rounds: Rounds, loads: Mapping[Contender, Ingest]) -> RowResult:
    settings = {
        "batch_records": BATCH_RECORDS,
        "records": max(load.records for load in loads.values()),
        "budget_bytes": {
            variant or name: load.budget_bytes for (name, variant), load in loads.items()
        },
    }
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, settings)


def ingest(harness: Harness, name: str, load: Ingest, shards: int | None = None) -> Traced:
    """Load a fresh store of engine `name` until all is in tables; count what that wrote."""
    with harness.directory() as path:
        idle = device.idle_bytes_per_s(path)
        before = device.Written.now(path)
        with open_engine(name, path, Setup(load.durability, load.budget_bytes, shards)) as engine:
            turn, curves, put_bytes = _load(engine, load)
            engine.rest()
        written = device.Written.now(path).per_byte(before, put_bytes)
        space = device.space_bytes(path) / put_bytes
    found = {**turn, **written, "space_per_byte": space, "device_idle_mb_s": idle / 1e6}
    return Traced(found, curves)


def _load(engine: Engine, load: Ingest) -> tuple[Turn, tuple[Curve, ...], int]:
    session, gauges = engine.session(), Gauges(engine)
    clock = time.perf_counter_ns
    line = Timeline(clock(), BATCH_RECORDS)
    stop, made = line.begin_ns + load.seconds * 1e9, 0
    for batch in _batches(load.records):
        before = clock()
        session.put_many(batch)
        now = clock()
        line.ends.append(now)
        line.spans.append(now - before)
        made += len(batch)
        gauges.look(now - line.begin_ns)
        if now > stop:
            break
    session.close()
    engine.sync()
    looped = clock() - line.begin_ns
    engine.drain()
    flushed = clock() - line.begin_ns
    turn = {
        "per_s": made / flushed * 1e9,
        "loop_per_s": made / looped * 1e9,
        "made_records": float(made),
        **{f"batch_{name}": value for name, value in line.percentiles().items()},
    }
    return turn, (*line.curves(), *gauges.curves()), made * RECORD_BYTES


class Gauges:
    """What the engine holds outside its tables, looked at every 100 ms."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next_ns = 0
        self._at: list[float] = []
        self._found: dict[str, list[float]] = {}

    def look(self, now_ns: int) -> None:
        """Look, if it is time to."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + GAUGE_NS
        self._at.append(now_ns / 1e9)
        for name, value in self._engine.gauges().items():
            self._found.setdefault(name, []).append(value)

    def curves(self) -> tuple[Curve, ...]:
        """Return what was seen over time."""
        return tuple(
            Curve(name, "s", tuple(self._at), tuple(values)) for name, values in self._found.items()
        )


def _batches(records: int) -> Iterator[Sequence[tuple[bytes, bytes]]]:
    return (batch for chunk in chunks(records) for batch in split(chunk, BATCH_RECORDS))
