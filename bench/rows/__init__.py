"""The rows of the benchmark: what a suite measures. Numbered ones are those of the target table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.harness import Harness
from bench.plans import Plan
from bench.result import RowResult

SMALL_BYTES = 2e9  #: the stores of a row that only writes for seconds


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        name: what `--rows` calls it.
        work: what is measured, in a few words.
        measure: measures it.
        disk_bytes: how much free space its files need at most, under a plan.
    """

    name: str
    work: str
    measure: Callable[[Row, Harness], RowResult]
    disk_bytes: Callable[[Plan], float] = lambda _: SMALL_BYTES
