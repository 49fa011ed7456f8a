"""What a machine can hold: rates, latencies, disk and memory, computed from a short calibration. Pure.

Rates are records per second, times seconds, sizes bytes. What is assumed stands in ASSUMPTIONS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shardkv import queueing
from shardkv.queueing import Moments

ASSUMPTIONS = (
    "Keys are random and every put is of a new key, the worst case for the flush; overwrites of hot keys cost less.",
    "Every put waits for its sync, from many callers at once (asyncio tasks of one process); one caller alone makes "
    "one put per sync.",
    "p99 is a bound put together: a put waits for a slow sync (p99), then for one of its own, and its turn in Python.",
    "Log, flush and Python were measured one after another; beside each other they share the disk and the cores. So a "
    "rate counts as held up to {most:.0%} of what each can do.",
    "The flush is computed from pages: leaf pages are two thirds full, and the records of a budget fall on them at "
    "random. Pages are in memory; with data beyond it the flush also reads.",
    "Other value sizes than the measured one are computed from bytes and pages.",
    "The scratch directory is on the disk that the store will use.",
)
MOST = 0.8  #: how busy a part may be
PAGE = 4096
LEAF_FILL = 0.68
RECORD_OVERHEAD = 26  #: of a record in a leaf: header, version, checksum
OVERFLOW = PAGE // 2  #: from about this size on a value has pages of its own
FLUSH_PAGES_BYTES = 64 << 20  #: dirty pages of one transaction of a flush
LOG_SPARE = 2 * (64 << 20)  #: the segment that is being filled, and the next one
TAIL = math.log(100)  #: p99 over mean of an exponential time
LOAD_STEPS = (0.1, 0.25, 0.5, 0.8)
GROWTHS = (1, 10, 40)  #: data over budget


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured of a machine.

    Attributes:
        value_bytes, key_bytes: of the records it was measured with.
        sync: of 4 KiB over written bytes.
        sync_p99: its 99th percentile.
        synced_byte: what each further byte of one sync adds.
        put: one awaited put among many tasks: Python, the engine, and its share of a sync.
        submit: one `submit` in a loop.
        value_byte: what each further byte of a value adds to a put.
        flush_page: a flush's time for each leaf page that it rewrites.
        index_bytes: heap for each unflushed record.
        log_bytes, shard_bytes: on disk for each record.
        unflushed_bytes: the budget.
    """

    value_bytes: int
    key_bytes: int
    sync: Moments
    sync_p99: float
    synced_byte: float
    put: float
    submit: float
    value_byte: float
    flush_page: float
    index_bytes: float
    log_bytes: float
    shard_bytes: float
    unflushed_bytes: int


@dataclass(frozen=True, slots=True)
class Wait:
    """What a put at one rate meets. `callers` wait at the same time, `group` records share a sync."""

    rate: float
    mean: float
    p99: float
    group: float
    callers: float


@dataclass(frozen=True, slots=True)
class Holding:
    """What one value size can be held at: in bursts that the budget takes up, and for good, by data over budget."""

    value_bytes: int
    burst: float
    sustained: tuple[float, ...]
    at: Wait


@dataclass(frozen=True, slots=True)
class Needs:
    """What a rate takes: bytes of disk and memory, bytes per second, and how long the budget lasts without a flush."""

    log_disk: float
    shard_growth_s: float
    device_s: tuple[float, ...]
    index_heap: float
    flush_heap: float
    page_cache: float
    budget_s: float


def leaf_pages(record: int, data_over_budget: float, budget: int) -> float:
    """Return how many leaf pages a flush rewrites for each record of it.

    Args:
        record: bytes of key and value.
        data_over_budget: how much data there is, in budgets.
        budget: bytes that are flushed together.
    """
    if record > OVERFLOW:
        return -(-record // PAGE) + 1.0
    in_leaf = PAGE * LEAF_FILL / (record + RECORD_OVERHEAD)
    batch = budget / record
    leaves = batch * data_over_budget / in_leaf
    return leaves * -math.expm1(-batch / leaves) / batch


class Model:
    """A machine as its calibration says, for values of one size."""

    def __init__(self, found: Calibration, key_bytes: int, value_bytes: int) -> None:
        self.found = found
        self.record = key_bytes + value_bytes
        more = self.record - found.key_bytes - found.value_bytes
        self.put = max(found.put + more * found.value_byte, found.put / 10)
        self.log_bytes = found.log_bytes + more
        # Pages of its own leave a value half a page empty on average.
        grown = self.record * found.shard_bytes / (found.key_bytes + found.value_bytes)
        self.shard_bytes = grown if self.record <= OVERFLOW else self.record + PAGE / 2

    def flush_rate(self, data_over_budget: float) -> float:
        """Return how many records a second the flush can take, alone."""
        pages = leaf_pages(self.record, data_over_budget, self.found.unflushed_bytes)
        return 1 / (pages * self.found.flush_page)

    @property
    def burst(self) -> float:
        """The highest rate of puts that the log and Python hold."""
        return MOST * min(1 / self.put, 1 / (self.log_bytes * self.found.synced_byte))

    def sustained(self, data_over_budget: float) -> float:
        """Return the highest rate that the flush holds, too."""
        return min(self.burst, MOST * self.flush_rate(data_over_budget))

    def wait(self, rate: float) -> Wait:
        """Return what a put meets at a rate; `inf` where the machine cannot hold it."""
        if rate <= 0:
            return Wait(0.0, self.found.sync.mean, self.found.sync_p99, 1.0, 0.0)
        busy, bytes_busy = rate * self.put, rate * self.log_bytes * self.found.synced_byte
        if busy >= 1 or bytes_busy >= 1:
            return Wait(rate, math.inf, math.inf, math.inf, math.inf)
        longer = 1 / (1 - bytes_busy)  # a group of those who came meanwhile makes its sync longer
        sync = self.found.sync
        service = Moments(sync.count, sync.mean * longer, sync.square * longer**2)
        turn = queueing.mm1_wait(rate, self.put)
        mean = queueing.group_wait(rate, service) + turn
        p99 = 2 * self.found.sync_p99 * longer + TAIL * turn
        group = max(1.0, rate * service.mean / queueing.group_busy(rate, service.mean))
        return Wait(rate, mean, p99, group, queueing.little(rate, mean))

    def rate_within(self, latency: float) -> float:
        """Return the highest rate up to `burst` whose p99 stays within `latency`; 0 when none does."""
        low, high = 0.0, self.burst
        if self.wait(high).p99 <= latency:
            return high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.wait(middle).p99 <= latency else (low, middle)
        return low if low >= 1 else 0.0

    def holding(self, value_bytes: int, latency: float | None) -> Holding:
        """Return what can be held, within a latency where one is asked."""
        most = self.burst if latency is None else self.rate_within(latency)
        sustained = tuple(min(most, self.sustained(growth)) for growth in GROWTHS)
        return Holding(value_bytes, most, sustained, self.wait(most))

    def needs(self, rate: float) -> Needs:
        """Return what a rate takes of disk and memory."""
        found = self.found
        unflushed = found.unflushed_bytes / self.log_bytes
        device = tuple(
            rate * (self.log_bytes + leaf_pages(self.record, growth, found.unflushed_bytes) * PAGE)
            for growth in GROWTHS
        )
        return Needs(
            log_disk=found.unflushed_bytes + LOG_SPARE,
            shard_growth_s=rate * self.shard_bytes,
            device_s=device,
            index_heap=unflushed * found.index_bytes,
            flush_heap=2 * FLUSH_PAGES_BYTES,
            page_cache=found.unflushed_bytes,
            budget_s=found.unflushed_bytes / (rate * self.log_bytes),
        )


def obstacles(model: Model, rate: float, latency: float | None) -> list[str]:
    """Return why a rate cannot be held, a sentence each; nothing when it can."""
    told = []
    if rate > model.burst:
        told.append(f"log and Python take {model.burst:,.0f} puts a second")
    for growth in GROWTHS:
        if rate > MOST * model.flush_rate(growth):
            most = MOST * model.flush_rate(growth)
            told.append(
                f"with {growth} times the budget stored the flush takes {most:,.0f} records a second"
            )
            break
    p99 = model.wait(rate).p99
    if latency is not None and p99 > latency:
        told.append(f"p99 would be {p99 * 1e3:.3g} ms, {latency * 1e3:.3g} ms was asked")
    return told
