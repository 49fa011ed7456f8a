"""Which pictures a result gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from bench.page import charts
from bench.page.charts import Dots, Line
from bench.page.read import (
    LATENCIES,
    Json,
    bars_of,
    curves,
    groups,
    label,
    main_metric,
    title_of,
)
from bench.page.svg import Drawing
from bench.report import UNITS

#: Curves over time -> what they show, and whether their axis is logarithmic.
OVER_TIME = {
    "per_s": ("writes per second", False),
    "p50_us": ("p50 in us, log", True),
    "p99_us": ("p99 in us, log", True),
    "p999_us": ("p99.9 in us, log", True),
    "unflushed_bytes": ("unflushed bytes", False),
}
X_NAMES = {"s": "seconds", "budget_share": "budget as share of the data"}
MOST_POINTS = 600


def pictures(row: Json) -> list[Drawing]:
    """Draw all that the row's figures allow; nothing for a row that was skipped."""
    if not row["series"]:
        return []
    return [
        *_throughput(row),
        *_latencies(row),
        *_over_time(row),
        *_amplification(row),
        *_balance(row),
    ]


def _throughput(row: Json) -> Iterator[Drawing]:
    metric = main_metric(row)
    if metric == "rate_per_s":  # what was asked for is no result
        return
    for variant, series, variants in groups(row):
        rows = bars_of(series, metric, variants) if metric else []
        if rows and metric:
            better = "" if metric.endswith("per_s") else " (lower is better)"
            yield charts.bars(title_of(row, variant), UNITS.get(metric, metric) + better, rows)


def _latencies(row: Json) -> Iterator[Drawing]:
    for variant, series, variants in groups(row):
        rows = [
            Dots(label(one, variants), one["engine"], found)
            for one in series
            if (found := _percentiles(one))
        ]
        if rows:
            yield charts.percentiles(title_of(row, variant, "latency"), rows)


def _percentiles(one: Json) -> dict[str, float]:
    return {
        name: one["metrics"][metric]["median"]
        for metric, name in LATENCIES.items()
        if metric in one["metrics"] and one["metrics"][metric]["median"] > 0
    }


def _over_time(row: Json) -> Iterator[Drawing]:
    for name, (told, log) in OVER_TIME.items():
        found = {}
        for one, curve in curves(row, name):
            if curve["x_name"] == "s":
                found.setdefault((one["engine"], one["variant"]), (one, curve))
        rows = [_line(one, curve) for one, curve in found.values()]
        if rows:
            names = (X_NAMES["s"], told)
            title = title_of(row, what=told.partition(" in ")[0] + " over time")
            yield charts.lines(title, names, rows, log=log, shades=_flushes(row))


def _line(one: Json, curve: Json) -> Line:
    points = list(zip(curve["x"], curve["y"], strict=True))
    return Line(label(one, True), one["engine"], points[:: 1 + len(points) // MOST_POINTS])


def _flushes(row: Json) -> list[tuple[float, float]]:
    """Return the spans in which a flush ran, of the first turn that tells it."""
    _, curve = next(curves(row, "flushing"), (None, None))
    if curve is None:
        return []
    spans, begun = [], None
    for at, on in zip(curve["x"], curve["y"], strict=True):
        if on and begun is None:
            begun = at
        elif not on and begun is not None:
            spans.append((begun, at))
            begun = None
    return spans if begun is None else [*spans, (begun, curve["x"][-1])]


def _amplification(row: Json) -> Iterator[Drawing]:
    for x_name, group in itertools.groupby(
        curves(row, "write_amplification"), lambda f: f[1]["x_name"]
    ):
        rows = [_line(one, curve) for one, curve in group]
        names = (X_NAMES.get(x_name, x_name), "bytes to the device per byte put")
        yield charts.lines(title_of(row, what="write amplification"), names, rows)


def _balance(row: Json) -> Iterator[Drawing]:
    for one, curve in curves(row, "shard_records"):
        yield charts.shares(title_of(row, one["variant"], "ring balance"), curve["y"])
