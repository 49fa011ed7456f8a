"""The result as tables for people and as one JSON file for documents."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.installed import Installed
from bench.noise import Noise
from bench.plans import Plan
from bench.result import RowResult, Series, Spread
from bench.targets import Judgement, Target, judge

UNITS = {
    "per_s": "/s",
    "synced_per_s": "/s",
    "loop_per_s": "/s",
    "s_per_gb": "s/GB",
    "open_ms": "ms",
    "heap_bytes": "B",
    "max_share": "max/mean",
    "mb_per_s": "MB/s",
    "promote_ms": "ms",
    "p99_us": "us",
    "max_ms": "ms",
    "device_per_byte": "B/B",
}
_FIGURES = re.compile(r"\[[-+\d.eE,\s]+\]")  # a list of numbers, over many lines
COLOURS = {
    "reach": "green",
    "pass": "green",
    "fail": "red",
    "below reach": "yellow",
    "not measured": "dim",
}


def number(value: float) -> str:
    """Format a figure with three significant digits, large ones in thousands or millions."""
    if value >= 999_500:
        return f"{value / 1e6:.3g}M"
    if value >= 10_000:
        return f"{value / 1e3:.3g}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(found: Spread) -> str:
    """Format a median with its range."""
    return f"{number(found.median)}  ({number(found.low)} .. {number(found.high)})"


def _unit(target: Target) -> str:
    if target.peer is None:
        return UNITS.get(target.metric, target.metric)
    return f"x {target.peer_variant or target.peer}"


def _bound(value: float | None) -> str:
    return "" if value is None else number(value)


def target_table(rows: Sequence[RowResult]) -> Table:
    """Make the table of targets: row, floor, reach, measured, verdict."""
    table = Table(title="Targets: median of the rounds (lowest .. highest)", title_justify="left")
    for heading in ("row", "work", "unit", "floor", "reach", "measured", "verdict"):
        right = heading in {"row", "floor", "reach"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "work")
    for row in rows:
        work = f"{row.work} (skipped: {row.skipped})" if row.skipped else row.work
        table.add_row(row.name, work, style="bold")
        for judgement in judge(row):
            table.add_row(*_cells(judgement))
        table.add_section()
    return table


def _cells(judgement: Judgement) -> list[str]:
    target, measured = judgement.target, judgement.measured
    verdict = f"[{COLOURS[judgement.verdict]}]{judgement.verdict}[/]"
    bounds = [_bound(target.floor), _bound(target.reach)]
    shown = spread(measured) if measured else "-"
    return ["", target.variant, _unit(target), *bounds, shown, verdict]


def series_table(row: RowResult) -> Table:
    """Make the table of one row's engines: the row's columns, or every metric."""
    found = dict.fromkeys(name for one in row.series for name in one.metrics)
    columns = row.columns or {name: (name,) for name in found}
    table = Table(title=f"Row {row.name}: {row.work}{_notes(row)}", title_justify="left")
    for heading in ("variant", "engine", *columns):
        table.add_column(heading)
    for one in row.series:
        table.add_row(
            one.variant, one.engine, *(_metrics(one, names) for names in columns.values())
        )
    return table


def _metrics(series: Series, names: Sequence[str]) -> str:
    """Format one metric with its range; several as their medians alone."""
    found = [Spread.of(samples) for name in names if (samples := series.metrics.get(name))]
    if len(names) == 1:
        return spread(found[0]) if found else ""
    return " / ".join(number(one.median) for one in found)


def _notes(row: RowResult) -> str:
    left_out = row.settings.get("left_out")
    told = (
        [f"\nnot measured: {who}: {why}" for who, why in left_out.items()]
        if isinstance(left_out, dict)
        else []
    )
    return _sync_note(row) + "".join(told)


def _sync_note(row: RowResult) -> str:
    times = sync_medians(row)
    if not times:
        return ""
    return (
        f"\n4 KiB write + fdatasync meanwhile: {times['overwrite_us']:.0f} us over written bytes, "
        f"{times['append_us']:.0f} us at a growing end"
    )


def sync_medians(row: RowResult) -> dict[str, float]:
    """Return the median sync times of the row's rounds, or nothing for a row without syncs."""
    return {
        name: statistics.median(turn[name] for turn in row.sync_us)
        for name in (row.sync_us or ({},))[0]
    }


def show(console: Console, rows: Sequence[RowResult], machine: Mapping[str, object]) -> None:
    """Print all tables."""
    for row in rows:
        if row.series:
            console.print(series_table(row), "")
    console.print(target_table(rows))
    console.print(
        ", ".join(f"{name} {value}" for name, value in machine.items()),
        style="dim",
        highlight=False,
    )


def as_json(
    rows: Sequence[RowResult],
    machine: Mapping[str, object],
    plan: Plan,
    installed: Installed,
    noise: Noise,
) -> str:
    """Return the whole result as JSON: machine class, noise, plan, engine settings, series, judgements."""
    found = {
        "machine": machine,
        "noise": dataclasses.asdict(noise),
        "plan": dataclasses.asdict(plan),
        "engines": installed.settings,
        "absent": installed.absent,
        "rows": [_row_json(row) for row in rows],
    }
    return _FIGURES.sub(_in_one_line, json.dumps(found, indent=1)) + "\n"


def _in_one_line(figures: re.Match[str]) -> str:
    return " ".join(figures[0].split())


def _row_json(row: RowResult) -> dict[str, object]:
    return {
        "row": row.name,
        "work": row.work,
        "skipped": row.skipped,
        "settings": row.settings,
        "sync": sync_medians(row),
        "calibrations": row.calibrations,
        "attempts": row.attempts,
        "series": [_series_json(one) for one in row.series],
        "targets": [_judgement_json(one) for one in judge(row)],
    }


def _series_json(series: Series) -> dict[str, object]:
    spreads = {
        name: dataclasses.asdict(Spread.of(samples)) for name, samples in series.metrics.items()
    }
    found: dict[str, object] = {
        "engine": series.engine,
        "variant": series.variant,
        "metrics": spreads,
    }
    if series.curves:
        found["curves"] = [dataclasses.asdict(one) for one in series.curves]
    return found


def _judgement_json(judgement: Judgement) -> dict[str, object]:
    target = {
        name: value
        for name, value in dataclasses.asdict(judgement.target).items()
        if value is not None
    }
    measured = dataclasses.asdict(judgement.measured) if judgement.measured else None
    return {**target, "measured": measured, "verdict": judgement.verdict}


def write_json(path: Path, text: str) -> None:
    """Write the result file, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
