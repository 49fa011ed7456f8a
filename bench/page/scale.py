"""From values to places: linear and logarithmic axes with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bench.report import number

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
DECADE_TICKS = (1.0, 2.0, 5.0)
FEW_DECADES = 2.0


@dataclass(frozen=True)
class Scale:
    """One axis: the values `low` .. `high` lie between the places `begin` .. `end`."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value; what lies outside is put at the edge."""
        share = self._share(min(max(value, self.low), self.high))
        return self.begin + share * (self.end - self.begin)

    def _share(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return values and labels of the ticks."""
        values = self._decades() if self.log else self._steps()
        return [(value, number(value)) for value in values]

    def _steps(self) -> list[float]:
        step = round_step((self.high - self.low) / 4)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, int(self.high / step + 1e-9) + 1)]

    def _decades(self) -> list[float]:
        wide = math.log10(self.high / self.low) > FEW_DECADES
        parts = (1.0,) if wide else DECADE_TICKS
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        found = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        return [value for value in found if self.low <= value * (1 + 1e-9) and value <= self.high]


def round_step(least: float) -> float:
    """Return the smallest round number that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - 1e-9))


def linear(values: Iterable[float], begin: float, end: float) -> Scale:
    """Make an axis from 0 to a round number above all values."""
    top = max(values, default=0.0)
    if not top > 0:
        return Scale(0.0, 1.0, begin, end)
    step = round_step(top / 4)
    return Scale(0.0, math.ceil(top / step - 1e-9) * step, begin, end)


def logarithmic(values: Iterable[float], begin: float, end: float) -> Scale:
    """Make an axis over all values above 0, from one tick to another."""
    found = [value for value in values if value > 0]
    low, high = (min(found), max(found)) if found else (1.0, 10.0)
    low, high = _tick_below(low), _tick_above(high)
    return Scale(low, high if high > low else low * 10, begin, end, log=True)


def _tick_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(part * power for part in DECADE_TICKS if part * power <= value * (1 + 1e-9))


def _tick_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min(part * power for part in (*DECADE_TICKS, 10.0) if part * power >= value * (1 - 1e-9))
