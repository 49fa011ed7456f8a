"""Row queueing: the log and the flush as queues: arrivals, service, how many are inside, how long they wait.

Arrivals come at random moments at a fixed mean rate, whatever the engine does (an open loop). A turn begins
and ends with nothing inside. The report sets the predictions of queueing theory beside these figures.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import shardkv
import shardkv.aio
from bench.engines import Pairs
from bench.harness import Harness
from bench.loops import percentile
from bench.records import split
from bench.result import RowResult, Turn
from bench.targets import SUBJECT
from shardkv.queueing import Moments, moments

if TYPE_CHECKING:
    from bench.rows import Row

RATES = (1_000, 4_000, 16_000)  #: puts per second that wait for their sync
LOOKS_PER_S = 500
FLUSH_RATE = 100_000  #: records per second that go through the flush
FLUSH_BATCH = 100
FLUSH_BUDGET = 16 << 20  # small, so that a turn sees many flushes
FLUSH_SPANS = 3  #: the flush is watched for so many times the plan's seconds
LOOK_SECONDS = 0.005
SEED = 11


@dataclass
class Seen:
    """What one turn saw: each wait, and how many were inside whenever somebody looked."""

    waits: list[float] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)

    def turn(self, seconds: float, records: int, services: Moments) -> Turn:
        """Make it metrics. A service is one sync or one flush; `records` went through in all."""
        waits = sorted(round(wait * 1e9) for wait in self.waits)
        return {
            "rate_per_s": records / seconds,
            "wait_us": sum(waits) / len(waits) / 1e3,
            "p50_us": percentile(waits, 0.50),
            "p99_us": percentile(waits, 0.99),
            "in_system": sum(self.inside) / len(self.inside),
            "service_us": services.mean * 1e6,
            "service_us2": services.square * 1e12,
            "group": records / services.count,
            "busy_share": services.count * services.mean / seconds,
        }


def stages(row: Row, harness: Harness) -> RowResult:
    """Measure the log at several rates, and the flush."""
    harness.present(SUBJECT)
    turns: dict[tuple[str, str], Callable[[], Turn]] = {
        (SUBJECT, f"log, {rate:,}/s"): partial(_log, harness, rate) for rate in RATES
    }
    turns[SUBJECT, f"flush, {FLUSH_RATE:,}/s"] = partial(_flush, harness)
    rounds = harness.interleave(turns, synced=True)
    settings = {"flush_budget_bytes": FLUSH_BUDGET}
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, settings)


def _log(harness: Harness, rate: int) -> Turn:
    with harness.directory() as path:
        return asyncio.run(_put_at_random(path, harness.pool, rate, harness.plan.seconds))


async def _put_at_random(path: Path, pool: Pairs, rate: int, seconds: float) -> Turn:
    seen, chance, clock = Seen(), random.Random(SEED), time.perf_counter
    store = await shardkv.aio.open(path)
    async with store, asyncio.TaskGroup() as tasks:
        before = (await store.stats()).log
        begin = clock()
        arrival = look = 0.0
        count, running = 0, set[int]()

        async def put(number: int, key: bytes, value: bytes) -> None:
            running.add(number)
            at = clock()
            await store.put(key, value)
            seen.waits.append(clock() - at)
            running.discard(number)

        while arrival < seconds:
            now = clock() - begin
            while arrival <= min(now, seconds):
                tasks.create_task(put(count, *pool[count % len(pool)]))
                count += 1
                arrival += chance.expovariate(rate)
            if look <= now:
                seen.inside.append(len(running))
                look += chance.expovariate(LOOKS_PER_S)
            await asyncio.sleep(0)
        while running:
            await asyncio.sleep(0)
        spent = clock() - begin
        after = (await store.stats()).log
    syncs = [new - old for new, old in zip(after.sync_us, before.sync_us, strict=True)]
    return seen.turn(spent, count, moments(syncs, 1e-6))


@dataclass
class Watch:
    """Looks at a store again and again: unflushed records, the end of each flush, how long probes stay.

    A probe is a moment's newest seqno; it leaves a shard when that has applied it.
    """

    store: shardkv.Store
    seen: Seen = field(default_factory=Seen)
    flushes: list[float] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until stopped."""
        stats = self.store.stats()
        told = [(shard.flushes, shard.flush_s) for shard in stats.shards]
        probes: list[deque[tuple[float, int]]] = [deque() for _ in stats.shards]
        while not self.stopped.is_set():
            stats, now = self.store.stats(), time.perf_counter()
            self.seen.inside.append(stats.unflushed_records)
            for place, shard in enumerate(stats.shards):
                if shard.unflushed_records:
                    probes[place].append((now, stats.seqno))
                while probes[place] and probes[place][0][1] <= shard.applied_seqno:
                    self.seen.waits.append(now - probes[place].popleft()[0])
                flushes, spent = shard.flushes - told[place][0], shard.flush_s - told[place][1]
                self.flushes += [spent / flushes] * flushes if flushes else []
                told[place] = shard.flushes, shard.flush_s
            self.stopped.wait(LOOK_SECONDS)


def _flush(harness: Harness) -> Turn:
    with harness.directory() as path, shardkv.open(path, unflushed_bytes=FLUSH_BUDGET) as store:
        watch = Watch(store)
        watcher = threading.Thread(target=watch.run)
        watcher.start()
        begin = time.perf_counter()
        try:
            count = _write_at_random(store, harness.pool, harness.plan.seconds * FLUSH_SPANS)
            store.flush()
            spent = time.perf_counter() - begin
            time.sleep(2 * LOOK_SECONDS)  # the last flush is seen, too
        finally:
            watch.stopped.set()
            watcher.join()
    return watch.seen.turn(spent, count, _moments(watch.flushes))


def _write_at_random(store: shardkv.Store, pool: Pairs, seconds: float) -> int:
    chance, count, arrival, begin = random.Random(SEED), 0, 0.0, time.perf_counter()
    batches = split(pool, FLUSH_BATCH)
    while arrival < seconds:
        time.sleep(max(0.0, arrival - (time.perf_counter() - begin)))
        store.put_many(batches[count // FLUSH_BATCH % len(batches)], ack="memory")
        count += FLUSH_BATCH
        arrival += chance.expovariate(FLUSH_RATE / FLUSH_BATCH)
    return count


def _moments(times: list[float]) -> Moments:
    count = len(times)
    return Moments(count, sum(times) / count, sum(each**2 for each in times) / count)
