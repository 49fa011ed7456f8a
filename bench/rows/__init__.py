"""The rows of the benchmark: what a suite measures. Numbered ones are those of the target table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.harness import Harness
from bench.result import RowResult


@dataclass(frozen=True)
class Row:
    """One row."""

    name: str
    work: str
    measure: Callable[[Row, Harness], RowResult]
