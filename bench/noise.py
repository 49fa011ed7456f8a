"""Was the machine quiet? A fixed piece of work, timed again and again between the rounds, tells.

The same loop and the same sync take the same time on a quiet machine. Where they do not, or where
something else ran when the benchmark began, a figure says more about the neighbours than about an
engine; then the result is marked, and `--check` and README's figures refuse it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import sync_times
from bench.result import RowResult, Turn

LOOP_STEPS = 400_000
LOOPS = 3
PROBES = 2

#: Largest over smallest time of one row's calibrations. Where two virtual cores are siblings of one, the
#: loop takes twice as long whenever the other is busy, if only with a neighbour's work: 1.7 to 1.9 was seen
#: all through a run without other load. Engines that take turns within a round meet that alike.
SPREAD_LIMITS = {"loop_ms": 2.0, "overwrite_us": 2.5}
LOAD_PER_CORE = 0.3  #: load average of the minute before the run


def calibrate(directory: Path) -> Turn:
    """Time the loop (ms; best of LOOPS) and syncs of 4 KiB in `directory` (us; the best median of PROBES).

    The best of a few: the wake of a turn's own writes is no noise, what goes on is.
    """
    probes = [sync_times(directory) for _ in range(PROBES)]
    syncs = {name: min(probe[name] for probe in probes) for name in probes[0]}
    return {"loop_ms": min(_loop() for _ in range(LOOPS)), **syncs}


def _loop() -> float:
    begin = time.perf_counter()
    total = 0
    for step in range(LOOP_STEPS):
        total += step
    return (time.perf_counter() - begin) * 1e3


@dataclass(frozen=True)
class Noise:
    """Why the figures of a run are not to be trusted; nothing, when they are."""

    reasons: tuple[str, ...] = ()
    accepted: bool = False  #: the caller wants to use them nevertheless

    @property
    def refused(self) -> bool:
        """Is the run too noisy, and did nobody accept that?"""
        return bool(self.reasons) and not self.accepted


def load_noise(load: float, cores: int | None = None) -> list[str]:
    """Judge the load average at the start."""
    limit = LOAD_PER_CORE * (cores or os.cpu_count() or 1)
    return [f"the load was {load:.2f} at the start (limit {limit:.2f})"] if load > limit else []


def row_noise(row: RowResult) -> list[str]:
    """Judge the calibrations of one row."""
    return [
        f"row {row.name}: {name} went from {low:.3g} to {high:.3g}, {high / low:.2f}x (limit {limit}x)"
        for name, limit in SPREAD_LIMITS.items()
        for low, high in [_range(row.calibrations, name)]
        if high > limit * low
    ]


def _range(calibrations: Sequence[Turn], name: str) -> tuple[float, float]:
    found = [one[name] for one in calibrations]
    return (min(found), max(found)) if found else (1.0, 1.0)
