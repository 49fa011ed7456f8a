"""Latencies as they came: their percentiles, and how they went over time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bench.loops import percentile
from bench.result import Curve

STEP_NS = 100_000_000

#: latencies of a step in ns -> a figure of the step
Figure = Callable[[Sequence[int]], float]


@dataclass
class Timeline:
    """When calls ended, and how long each took; in ns of one clock.

    Args:
        begin_ns: when the first began.
        records: how many records one call writes.
    """

    begin_ns: int
    records: int = 1
    ends: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)

    def percentiles(self) -> dict[str, float]:
        """Return what a row reports of the calls' latencies."""
        ordered = sorted(self.spans)
        shares = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
        found = {name: percentile(ordered, share) for name, share in shares.items()}
        return {**found, "max_ms": ordered[-1] / 1e6 if ordered else 0.0}

    def curves(self) -> tuple[Curve, ...]:
        """Return rate and latencies over time: one point for every 100 ms, also for those without a call."""
        steps = self._steps()
        figures: dict[str, Figure] = {
            "per_s": lambda spans: len(spans) * self.records * 1e9 / STEP_NS,
            "p50_us": lambda spans: statistics.median(spans) / 1e3 if spans else 0.0,
            "p99_us": lambda spans: percentile(sorted(spans), 0.99),
            "max_us": lambda spans: max(spans, default=0) / 1e3,
        }
        at = tuple(round((number + 1) * STEP_NS / 1e9, 1) for number in range(len(steps)))
        return tuple(
            Curve(name, "s", at, tuple(round(figure(spans), 1) for spans in steps))
            for name, figure in figures.items()
        )

    def _steps(self) -> list[list[int]]:
        last = (self.ends[-1] - self.begin_ns) // STEP_NS if self.ends else -1
        steps: list[list[int]] = [[] for _ in range(last + 1)]
        for end, span in zip(self.ends, self.spans, strict=True):
            steps[(end - self.begin_ns) // STEP_NS].append(span)
        return steps


def timed_puts(
    put: Callable[[bytes, bytes], object],
    pairs: Iterable[tuple[bytes, bytes]],
    clock: Callable[[], int],
    over: Callable[[int], bool],
) -> Timeline:
    """Put `pairs` one by one until they end, or `over(now)` is true after a put."""
    line = Timeline(clock())
    ended, took = line.ends.append, line.spans.append
    before = line.begin_ns
    for key, value in pairs:
        put(key, value)
        now = clock()
        ended(now)
        took(now - before)
        before = now
        if over(now):
            break
    return line
