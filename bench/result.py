"""What a row measured. Rows measure; `targets` judges; `report` shows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Turn = Mapping[str, float]  #: one engine's turn in one round: metric -> value


@dataclass(frozen=True)
class Curve:
    """What one turn measured along the way: over time, over a size, over shards.

    Several curves of one name are several turns.

    Args:
        name: what `y` is: "per_s", "p50_us", "p99_us", "p999_us", "flushing" (0 or 1), "unflushed_bytes",
            "write_amplification", "shard_records"; the report draws those of one name together.
        x_name: what `x` is: "s" since the turn began, "budget_share" of the data, "shard".
        x, y: as many of the one as of the other, `x` ascending.
    """

    name: str
    x_name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Series:
    """The turns of one engine in one variant of a row, in round order."""

    engine: str
    variant: str
    metrics: dict[str, tuple[float, ...]]
    curves: tuple[Curve, ...] = ()

    @classmethod
    def of(cls, engine: str, variant: str, turns: Sequence[Turn]) -> Series:
        """Turn rows into columns."""
        return cls(
            engine, variant, {name: tuple(turn[name] for turn in turns) for name in turns[0]}
        )


@dataclass(frozen=True)
class RowResult:
    """One row of the target table: its series and sync times, or why it could not run.

    `calibrations` say how steady the machine was: before each round and after the last one.
    """

    name: str
    work: str
    series: tuple[Series, ...] = ()
    sync_us: tuple[Turn, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    skipped: str = ""
    calibrations: tuple[Turn, ...] = ()

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
