"""Many threads, or many tasks of one event loop, that write at once, watched from outside.

They run until they are told to stop, so that all of them are busy during the whole measured time; a
fixed count of writes each would end with few of them running. A write counts when it returns inside
the measured time.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.engines import Engine, Pairs
from bench.records import split
from bench.result import Turn

READY_SECONDS = 30.0

Shares = Sequence[Sequence[tuple[Any, Any]]]  #: the arguments of each thread's or task's writes


class Caller(NamedTuple):
    """The write of one thread, and what frees that which belongs to the thread."""

    write: Callable[[Any, Any], object]
    close: Callable[[], None]


class Span(NamedTuple):
    """How long to write unmeasured, and measured, in seconds."""

    warm: float
    seconds: float


class Timed(NamedTuple):
    """What was measured, and how many writes returned in all, the unmeasured ones included."""

    turn: Turn
    writes: int


@dataclass
class Crew:
    """Threads that start together and stop together."""

    begin: Callable[[], Caller]
    threads: int
    stop: list[bool] = field(default_factory=list)  #: false while empty: the cheapest flag there is

    def __post_init__(self) -> None:
        self.ready = threading.Barrier(self.threads + 1)

    def work(self, share: Sequence[tuple[Any, Any]], ends: list[int]) -> None:
        """Write `share` over and over; note the clock after each."""
        caller = self.begin()
        write, note, clock, stop = caller.write, ends.append, time.perf_counter_ns, self.stop
        self.ready.wait(READY_SECONDS)
        try:
            for key, value in itertools.cycle(share):
                write(key, value)
                note(clock())
                if stop:
                    break
        finally:
            caller.close()


def put_together(engine: Engine, pool: Pairs, threads: int, span: Span) -> Turn:
    """Let `threads` threads put the records of `pool`; return their rate and latencies."""

    def begin() -> Caller:
        session = engine.session()
        return Caller(session.put, session.close)

    return write_together(begin, split(pool, len(pool) // threads)[:threads], span).turn


def write_together(begin: Callable[[], Caller], shares: Shares, span: Span) -> Timed:
    """Let a thread for each share write for `span`; each thread makes its caller by `begin`."""
    threads = len(shares)
    crew = Crew(begin, threads)
    ends: list[list[int]] = [[] for _ in range(threads)]
    with ThreadPoolExecutor(threads) as workers:
        jobs = [workers.submit(crew.work, shares[i], ends[i]) for i in range(threads)]
        try:
            crew.ready.wait(READY_SECONDS)
            time.sleep(span.warm)
            begin_ns = time.perf_counter_ns()
            time.sleep(span.seconds)
            end_ns = time.perf_counter_ns()
        finally:
            crew.stop.append(True)
        for job in jobs:
            job.result()
    return _timed(ends, begin_ns, end_ns)


async def write_on_loop(
    write: Callable[[Any, Any], Awaitable[object]], shares: Shares, span: Span
) -> Timed:
    """Let a task for each share write for `span`, all on the running event loop."""
    ends: list[list[int]] = [[] for _ in shares]
    clock, stop = time.perf_counter_ns, list[bool]()

    async def work(share: Sequence[tuple[Any, Any]], note: Callable[[int], None]) -> None:
        for key, value in itertools.cycle(share):
            await write(key, value)
            note(clock())
            if stop:
                break

    async with asyncio.TaskGroup() as tasks:
        for share, its_ends in zip(shares, ends, strict=True):
            tasks.create_task(work(share, its_ends.append))
        await asyncio.sleep(span.warm)
        begin_ns = clock()
        await asyncio.sleep(span.seconds)
        end_ns = clock()
        stop.append(True)
    return _timed(ends, begin_ns, end_ns)


def _timed(ends: Sequence[list[int]], begin: int, end: int) -> Timed:
    done = sum(begin < at <= end for times in ends for at in times)
    waits = sorted(
        after - before
        for times in ends
        for before, after in itertools.pairwise(times)
        if begin < after <= end
    )
    turn = {
        "per_s": done / ((end - begin) / 1e9),
        "p50_us": percentile(waits, 0.50),
        "p99_us": percentile(waits, 0.99),
    }
    return Timed(turn, sum(len(times) for times in ends))


def percentile(ordered: Sequence[int], share: float) -> float:
    """Return the time, in us, that `share` of the ascending times in ns do not exceed; 0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000 if ordered else 0.0
