"""`python -m bench compare A B`: what changed from result A to result B, beyond the spread of the rounds.

Results are comparable when machine, file system, plan and durability are the same. Others are refused, or,
with --anyway, compared under a warning that says what differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.page.read import Json, NoResult, flat, load
from bench.report import number

PLAIN_WIDTH = 130
#: What must be equal for figures to be comparable, in the words of the message.
MACHINE = {
    "cpu": "CPU",
    "cores": "cores",
    "memory_gib": "memory",
    "device": "disk",
    "file_system": "file system",
}
NOTED = ("kernel", "python")
PLAN_FREE = ("settle_seconds", "attempts")  #: of the plan, what may differ
LOWER = ("_us", "_ms", "seconds", "s_per_gb", "_bytes", "_per_byte", "max_share")
#: What was asked for, or explains a figure; more of it is neither better nor worse.
UNJUDGED = (
    "index_bytes",
    "unflushed_share",
    "made_records",
    "device_idle_mb_s",
    "rate_per_s",
    "in_system",
    "service_us2",
    "group",
    "busy_share",
)
SYNC_DRIFT = 1.2
COLOURS = {"better": "green", "worse": "red", "": ""}


@dataclass(frozen=True)
class Change:
    """One metric of one engine in both results. A ratio is B over A."""

    row: str
    engine: str
    variant: str
    metric: str
    before: Json
    after: Json

    @property
    def ratio(self) -> float:
        """Ratio of the medians."""
        return float(self.after["median"] / self.before["median"])

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio that rounds of the two allow."""
        high = self.after["high"] / self.before["low"] if self.before["low"] else float("inf")
        return self.after["low"] / self.before["high"], high

    @property
    def verdict(self) -> str:
        """Return "better" or "worse" when the ranges of the rounds do not meet, else ""."""
        low, high = self.spread
        if low <= 1 <= high:
            return ""
        lower_is_better = self.metric.endswith(LOWER)
        return "better" if (self.ratio < 1) == lower_is_better else "worse"


def differences(before: Json, after: Json) -> list[str]:
    """Return why the two must not be compared, a sentence each; nothing when they may."""
    told = [
        f"{name}: {before['machine'].get(key)} and {after['machine'].get(key)}"
        for key, name in MACHINE.items()
        if before["machine"].get(key) != after["machine"].get(key)
    ]
    plans = flat(before["plan"]), flat(after["plan"])
    told += [
        f"plan, {name}: {plans[0][name]} and {plans[1][name]}"
        for name in sorted(plans[0].keys() & plans[1].keys())
        if plans[0][name] != plans[1][name] and name not in PLAN_FREE
    ]
    for one, other in _pairs(before, after):
        if durability(one) != durability(other):
            told.append(
                f"durability of row {one['row']}: {durability(one)} and {durability(other)}"
            )
    return told


def durability(row: Json) -> str:
    """Return what a write of the row waits for: its setting of that name, else what its work says."""
    return str(row["settings"].get("durability", row["work"]))


def notes(before: Json, after: Json) -> Iterator[str]:
    """Yield what also differs and may explain a change."""
    for name, result in (("A", before), ("B", after)):
        for reason in result.get("noise", {}).get("reasons", ()):
            yield f"the machine was noisy in {name}: {reason}"
    for key in NOTED:
        if before["machine"].get(key) != after["machine"].get(key):
            yield f"{key}: {before['machine'].get(key)} -> {after['machine'].get(key)}"
    for what, old, new in (
        ("version of", before["machine"].get("versions", {}), after["machine"].get("versions", {})),
        ("settings of", before["engines"], after["engines"]),
    ):
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                yield f"{what} {name}: {old[name]} -> {new[name]}"
    for one, other in _pairs(before, after):
        for name in sorted(one["sync"].keys() & other["sync"].keys()):
            ratio = other["sync"][name] / one["sync"][name]
            if not 1 / SYNC_DRIFT <= ratio <= SYNC_DRIFT:
                yield f"row {one['row']}: the disk's own sync, {name}, is {ratio:.2f} times what it was"


def _pairs(before: Json, after: Json) -> Iterator[tuple[Json, Json]]:
    others = {str(row["row"]): row for row in after["rows"]}
    for row in before["rows"]:
        if other := others.get(str(row["row"])):
            yield row, other


def changes(before: Json, after: Json) -> Iterator[Change]:
    """Yield every metric that both results have."""
    for one, other in _pairs(before, after):
        found = {(series["engine"], series["variant"]): series for series in other["series"]}
        for series in one["series"]:
            name = (series["engine"], series["variant"])
            for metric, old in series["metrics"].items():
                new = found[name]["metrics"].get(metric) if name in found else None
                if new is not None and old["median"] and old["high"] and metric not in UNJUDGED:
                    yield Change(str(one["row"]), *name, metric, old, new)


def main(arguments: Sequence[str]) -> int:
    """Compare two result files; return the exit status: 2 when they cannot be compared."""
    options = _parser().parse_args(arguments)
    try:
        before, after = load(options.before), load(options.after)
    except NoResult as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    if different := differences(before, after):
        for line in different:
            console.print(f"[red]different {line}[/]")
        if not options.anyway:
            print(
                "These results cannot be compared; --anyway does it, and says so.", file=sys.stderr
            )
            return 2
        console.print("[bold red]Compared anyway: ratios of different things.[/]")
    found = [one for one in changes(before, after) if not options.changed or one.verdict]
    console.print(_table(found, f"{options.after.name} over {options.before.name}"))
    for line in notes(before, after):
        console.print(line, style="dim")
    console.print(_summary(found, before, after))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench compare", description=__doc__)
    parser.add_argument("before", type=Path, metavar="A", help="the earlier result file")
    parser.add_argument("after", type=Path, metavar="B", help="the later result file")
    parser.add_argument(
        "--changed", action="store_true", help="only what changed beyond the spread"
    )
    parser.add_argument(
        "--anyway", action="store_true", help="compare different machines, plans or durabilities"
    )
    return parser


def _table(found: Sequence[Change], title: str) -> Table:
    table = Table(title=f"{title}: ratio of medians (range the rounds allow)", title_justify="left")
    for heading in ("row", "variant", "engine", "metric", "A", "B", "ratio", "beyond noise"):
        table.add_column(heading, no_wrap=heading != "variant")
    for one in found:
        low, high = one.spread
        table.add_row(
            one.row,
            one.variant,
            one.engine,
            one.metric,
            number(one.before["median"]),
            number(one.after["median"]),
            f"{one.ratio:.2f} ({low:.2f} .. {high:.2f})",
            one.verdict,
            style=COLOURS[one.verdict],
        )
    return table


def _summary(found: Sequence[Change], before: Json, after: Json) -> str:
    counts = {word: sum(one.verdict == word for one in found) for word in ("better", "worse")}
    rows = {str(row["row"]) for row in before["rows"]}, {str(row["row"]) for row in after["rows"]}
    alone = sorted(rows[0] ^ rows[1])
    told = f"beyond the spread of the rounds: {counts['better']} better, {counts['worse']} worse"
    return told + (f"; in one result only: row {', '.join(alone)}" if alone else "")
