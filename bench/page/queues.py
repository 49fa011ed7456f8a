"""The queueing view: what theory says of a measured stage, beside what was measured.

A stage is a series with the metrics of STAGE. `bench/rows/queueing.py` measures them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from bench.page.read import Json
from bench.page.svg import element
from bench.page.tables import table
from bench.report import number
from shardkv import queueing

STAGE = ("rate_per_s", "wait_us", "in_system", "service_us", "service_us2", "group", "busy_share")
HEADS = (
    "stage",
    "arrivals /s",
    "service, ms",
    "group",
    "busy: measured",
    "L measured",
    "rate x W",
    "Little's law",
    "W measured, ms",
    "M/M/1",
    "M/M/c",
    "M/G/1",
    "groups",
)
NOTE = (
    "Each turn begins and ends empty, where Little's law holds exactly: what L, measured by looking, differs from rate "
    "x W, measured by waiting, is the error of the measurement. M/M/1 and M/G/1 serve one record at a time with the "
    "measured service time; M/M/c has as many servers as a group has records, rounded up; groups: one service for all "
    "who wait (M/G/1 with bulk service). A dash says that such a queue would grow without end. What W has beyond the "
    "prediction for groups is spent outside the stage: in Python, and until a waiter runs again."
)


@dataclass(frozen=True)
class Stage:
    """One measured stage. Times in seconds."""

    name: str
    rate: float
    wait: float
    in_system: float
    service: queueing.Moments
    group: float
    busy: float

    @property
    def servers(self) -> int:
        """As many as a group has records."""
        return max(1, math.ceil(self.group))

    def little_ratio(self) -> float:
        """Return measured L over rate x W."""
        return self.in_system / queueing.little(self.rate, self.wait)

    def predictions(self) -> tuple[float, ...]:
        """Return the waits of M/M/1, M/M/c, M/G/1 and groups."""
        mean = self.service.mean
        return (
            queueing.mm1_wait(self.rate, mean),
            queueing.mmc_wait(self.rate, mean, self.servers),
            queueing.mg1_wait(self.rate, self.service),
            queueing.group_wait(self.rate, self.service),
        )


def stages(row: Json) -> list[Stage]:
    """Return the stages that a row measured."""
    found = []
    for one in row["series"]:
        if all(name in one["metrics"] for name in STAGE):
            rate, wait, inside, mean, square, group, busy = (
                one["metrics"][name]["median"] for name in STAGE
            )
            service = queueing.Moments(1, mean / 1e6, square / 1e12)
            found.append(Stage(one["variant"], rate, wait / 1e6, inside, service, group, busy))
    return found


def view(row: Json) -> str:
    """Write the table of a row's stages, or nothing."""
    found = stages(row)
    if not found:
        return ""
    lines = [_line(stage) for stage in found]
    return table("Queueing: measured beside predicted", HEADS, lines) + element(
        "p", escape(NOTE), class_="soft"
    )


def _line(stage: Stage) -> tuple[str, ...]:
    return (
        stage.name,
        number(stage.rate),
        _ms(stage.service.mean),
        number(stage.group),
        f"{stage.busy:.0%}",
        number(stage.in_system),
        number(queueing.little(stage.rate, stage.wait)),
        f"{stage.little_ratio():.2f}",
        _ms(stage.wait),
        *(_ms(wait) for wait in stage.predictions()),
    )


def _ms(seconds: float) -> str:
    return "-" if math.isinf(seconds) else number(seconds * 1e3)
