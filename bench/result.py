"""What a row measured. Rows measure; `targets` judges; `report` shows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

Turn = Mapping[str, float]  #: one engine's turn in one round: metric -> value


@dataclass(frozen=True)
class Curve:
    """What one turn measured along the way: over time, over a size, over shards.

    Several curves of one name are several turns.

    Args:
        name: what `y` is: "per_s", "mb_per_s", "p50_us", "p99_us", "p999_us", "max_us", "unflushed_bytes",
            "flushing" (0 or 1), "flush_s" (all time that ended flushes took), "write_amplification",
            "shard_records"; the report draws those of one name together.
        x_name: what `x` is: "s" since the turn began, "budget_share" of the data, "shard", or what a row varies:
            "threads", "tasks", "shards", "value_bytes".
        x, y: as many of the one as of the other, `x` ascending.
    """

    name: str
    x_name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Traced(NamedTuple):
    """A turn with its curves."""

    turn: Turn
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Series:
    """The turns of one engine in one variant of a row, in round order."""

    engine: str
    variant: str
    metrics: dict[str, tuple[float, ...]]
    curves: tuple[Curve, ...] = ()

    @classmethod
    def of(cls, engine: str, variant: str, turns: Sequence[Turn | Traced]) -> Series:
        """Turn rows into columns; keep the curves of the turn that is the median by its first metric."""
        traced = [turn if isinstance(turn, Traced) else Traced(turn, ()) for turn in turns]
        names = traced[0].turn
        ordered = sorted(traced, key=lambda one: one.turn[next(iter(names))])
        return cls(
            engine,
            variant,
            {name: tuple(one.turn[name] for one in traced) for name in names},
            ordered[(len(ordered) - 1) // 2].curves,
        )


def along(
    series: Sequence[Series], metric: str, name: str, x_name: str, at: Mapping[str, float]
) -> tuple[Series, ...]:
    """Give each engine's last variant a curve of its medians over the variants.

    Args:
        series: of one row.
        metric: what the curve shows; engines that did not measure it get none.
        name, x_name: of the curve.
        at: variant -> where it lies, ascending.
    """
    medians: dict[str, dict[float, float]] = {}
    for one in series:
        if one.variant in at and metric in one.metrics:
            found = medians.setdefault(one.engine, {})
            found[at[one.variant]] = statistics.median(one.metrics[metric])
    last = [*at][-1]
    return tuple(
        replace(one, curves=(*one.curves, _curve(name, x_name, medians[one.engine])))
        if one.variant == last and one.engine in medians
        else one
        for one in series
    )


def _curve(name: str, x_name: str, points: Mapping[float, float]) -> Curve:
    return Curve(name, x_name, tuple(points), tuple(points.values()))


@dataclass(frozen=True)
class RowResult:
    """One row of the target table: its series and sync times, or why it could not run.

    `calibrations` say how steady the machine was: before each round and after the last one. `attempts` counts this
    measurement and those before it, which the machine was too noisy for.
    `columns` are those of the terminal's table: heading -> metrics; without them it shows every metric.
    """

    name: str
    work: str
    series: tuple[Series, ...] = ()
    sync_us: tuple[Turn, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    skipped: str = ""
    calibrations: tuple[Turn, ...] = ()
    attempts: int = 1
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

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
