"""What a row measured. Rows measure; `targets` judges; `report` shows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Turn = Mapping[str, float]  #: one engine's turn in one round: metric -> value


@dataclass(frozen=True)
class Series:
    """The turns of one engine in one variant of a row, in round order."""

    engine: str
    variant: str
    metrics: dict[str, tuple[float, ...]]

    @classmethod
    def of(cls, engine: str, variant: str, turns: Sequence[Turn]) -> Series:
        """Turn rows into columns."""
        return cls(
            engine, variant, {name: tuple(turn[name] for turn in turns) for name in turns[0]}
        )


@dataclass(frozen=True)
class RowResult:
    """One row of the target table: its series and sync times, or why it could not run."""

    name: str
    work: str
    series: tuple[Series, ...] = ()
    sync_us: tuple[Turn, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    skipped: str = ""

    def find(self, engine: str, variant: str) -> Series | None:
        """Return the series of `engine` in `variant`, or None when it did not run."""
        matches = (one for one in self.series if (one.engine, one.variant) == (engine, variant))
        return next(matches, None)


@dataclass(frozen=True)
class Spread:
    """Median and range of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Summarise at least one sample."""
        return cls(statistics.median(samples), min(samples), max(samples))


class Unavailable(Exception):
    """A row cannot run here; the message says what is missing."""
