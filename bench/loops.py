"""Many threads that put at once, watched from outside.

Threads run until they are told to stop, so that all of them are busy during the whole measured
time; a fixed count of puts per thread would end with few threads running. A put counts when it
returns inside the measured time.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bench.engines import Engine, Pairs
from bench.records import split
from bench.result import Turn

READY_SECONDS = 30.0


@dataclass
class Crew:
    """Threads that start together and stop together."""

    engine: Engine
    threads: int
    stop: list[bool] = field(default_factory=list)  #: false while empty: the cheapest flag there is

    def __post_init__(self) -> None:
        self.ready = threading.Barrier(self.threads + 1)

    def work(self, pairs: Pairs, ends: list[int]) -> None:
        """Put `pairs` over and over; note the clock after each."""
        session = self.engine.session()
        put, note, clock, stop = session.put, ends.append, time.perf_counter_ns, self.stop
        self.ready.wait(READY_SECONDS)
        try:
            for key, value in itertools.cycle(pairs):
                put(key, value)
                note(clock())
                if stop:
                    break
        finally:
            session.close()


def put_together(engine: Engine, pool: Pairs, threads: int, warm: float, seconds: float) -> Turn:
    """Let `threads` threads put for `seconds` after a warm-up; return their rate and latencies."""
    crew = Crew(engine, threads)
    ends: list[list[int]] = [[] for _ in range(threads)]
    shares = split(pool, len(pool) // threads)
    with ThreadPoolExecutor(threads) as workers:
        jobs = [workers.submit(crew.work, shares[i], ends[i]) for i in range(threads)]
        try:
            crew.ready.wait(READY_SECONDS)
            time.sleep(warm)
            begin = time.perf_counter_ns()
            time.sleep(seconds)
            end = time.perf_counter_ns()
        finally:
            crew.stop.append(True)
        for job in jobs:
            job.result()
    return _summary(ends, begin, end)


def _summary(ends: Sequence[list[int]], begin: int, end: int) -> Turn:
    done = sum(begin < at <= end for times in ends for at in times)
    waits = sorted(
        after - before
        for times in ends
        for before, after in itertools.pairwise(times)
        if begin < after <= end
    )
    return {
        "per_s": done / ((end - begin) / 1e9),
        "p50_us": _percentile(waits, 0.50),
        "p99_us": _percentile(waits, 0.99),
    }


def _percentile(ordered: Sequence[int], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000 if ordered else 0.0
