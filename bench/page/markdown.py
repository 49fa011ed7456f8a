"""The table of targets, for a document."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bench.page.read import Json
from bench.page.tables import MARKS, bound, spread, unit
from bench.suites import ROWS
from bench.targets import TARGETS

HEAD = "| row | work | unit | floor | reach | measured: median (range) | |\n|---|---|---|---|---|---|---|\n"
NUMBERED = [str(number) for number in range(1, 16)]  #: the rows of the target table


def targets(result: Json) -> str:
    """Return every target of the numbered rows, those that the result did not measure included."""
    rows = {str(row["row"]): row for row in result["rows"]}
    lines = [line for name in NUMBERED for line in _lines(name, rows.get(name))]
    return HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _lines(name: str, row: Json | None) -> Iterator[tuple[str, ...]]:
    measured = row["targets"] if row else []
    for target in measured or _unmeasured(name):
        work = row["work"] if row else ROWS[name].work
        yield (
            name,
            ", ".join(part for part in (work, target.get("variant", "")) if part),
            unit(target),
            *(bound(target, which) for which in ("floor", "reach")),
            spread(target["measured"]),
            f"{MARKS[target['verdict']]} {target['verdict']}",
        )


def _unmeasured(name: str) -> list[Json]:
    nothing = {"measured": None, "verdict": "not measured"}
    return [dataclasses.asdict(one) | nothing for one in TARGETS if one.row == name]
