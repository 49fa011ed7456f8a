"""Row 13: what an unflushed record costs beside its place in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import jobs
from bench.harness import Harness
from bench.result import RowResult, Turn

if TYPE_CHECKING:
    from bench.rows import Row


def heap(row: Row, harness: Harness) -> RowResult:
    """Row 13: growth of the process's anonymous memory per unflushed record.

    Tables grow by doubling, so the figure depends on where one looks. The median of samples between
    half of the records and all of them is judged; the worst is reported beside it.
    """
    (name,) = harness.present("shardkv")
    count = harness.plan.heap_records

    def turn(name: str) -> Turn:
        with harness.directory() as path:
            return jobs.run("heap", name, path, count)

    rounds = harness.rounds([name], turn)
    return RowResult(row.name, row.work, rounds.series, settings={"records": count})
