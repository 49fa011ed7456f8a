"""Row "counter": one hot key, counted by 16 threads and by 1,000 tasks, every increment synced."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bench.counters import COUNTERS, KEY, Counter, counter_class
from bench.harness import Harness
from bench.loops import Span, Timed, write_on_loop, write_together
from bench.result import RowResult, Turn

if TYPE_CHECKING:
    from bench.rows import Row

THREADS = 16
TASKS = 1000
ARGUMENTS = [(KEY, 1)]


def count(row: Row, harness: Harness) -> RowResult:
    """Count with every engine in both ways; the count must be what was acknowledged."""
    names = harness.present(*COUNTERS)
    span = Span(harness.plan.warm_seconds, harness.plan.seconds)
    parts = [
        harness.rounds(names, partial(_threads, harness, span), variant="16 threads", synced=True),
        harness.rounds(names, partial(_tasks, harness, span), variant="1,000 tasks", synced=True),
    ]
    return RowResult(
        row.name,
        row.work,
        tuple(one for part in parts for one in part.series),
        tuple(sync for part in parts for sync in part.sync_us),
        {name: counter_class(name).settings for name in names},
    )


def _threads(harness: Harness, span: Span, name: str) -> Turn:
    with harness.directory() as path, counter_class(name)(path) as counter:
        return _checked(counter, write_together(counter.caller, [ARGUMENTS] * THREADS, span))


def _tasks(harness: Harness, span: Span, name: str) -> Turn:
    with harness.directory() as path, counter_class(name)(path) as counter:
        return _checked(counter, asyncio.run(_on_loop(counter, span)))


async def _on_loop(counter: Counter, span: Span) -> Timed:
    async with counter.on_loop() as increment:
        return await write_on_loop(increment, [ARGUMENTS] * TASKS, span)


def _checked(counter: Counter, timed: Timed) -> Turn:
    if (found := counter.count()) != timed.writes:
        raise AssertionError(f"{counter.name} counted {found}; {timed.writes} were acknowledged")
    return timed.turn
