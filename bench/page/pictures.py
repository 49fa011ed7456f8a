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
    main_metric,
    title_of,
)
from bench.page.svg import LIGHT, Drawing, hue
from bench.report import UNITS
from bench.targets import SUBJECT

#: Curves over time -> what they show, and which of their axes are logarithmic.
OVER_TIME = {
    "per_s": ("writes per second", ""),
    "p50_us": ("p50 in us, log", "y"),
    "p99_us": ("p99 in us, log", "y"),
    "p999_us": ("p99.9 in us, log", "y"),
    "max_us": ("slowest in us, log", "y"),
    "unflushed_bytes": ("unflushed bytes", ""),
}
#: What a row varies -> its name.
VARIED = {
    "threads": "threads, log",
    "tasks": "tasks, log",
    "shards": "shards, log",
    "value_bytes": "bytes of a value, log",
}
RATES = {"per_s": "per second", "mb_per_s": "MB per second, log"}
MOST_POINTS = 600
HUES = len(LIGHT)

Found = list[tuple[Json, Json]]  #: series and curve


def pictures(row: Json) -> list[Drawing]:
    """Draw all that the row's figures allow; nothing for a row that was skipped."""
    if not row["series"]:
        return []
    varied = [*_varied(row)]
    plain = [] if varied else [*_throughput(row), *_latencies(row)]
    return [*plain, *varied, *_over_time(row), *_amplification(row), *_balance(row)]


def _throughput(row: Json) -> Iterator[Drawing]:
    metric = main_metric(row)
    if metric == "rate_per_s":  # what was asked for is no result
        return
    for group in groups(row):
        rows = bars_of(group, metric) if metric else []
        if rows and metric:
            better = "" if metric.endswith("per_s") else " (lower is better)"
            yield charts.bars(
                title_of(row, group.variant), UNITS.get(metric, metric) + better, rows
            )


def _latencies(row: Json) -> Iterator[Drawing]:
    names = dict.fromkeys(name for one in row["series"] for name in one["metrics"])
    prefixes = dict.fromkeys(
        name.removesuffix(which) for name in names for which in LATENCIES if name.endswith(which)
    )
    for group, prefix in itertools.product(groups(row), prefixes):
        rows = [
            Dots(group.label(one), one["engine"], found)
            for one in group.series
            if (found := _percentiles(one, prefix))
        ]
        if rows:
            what = f"latency of {prefix.rstrip('_')}" if prefix else "latency"
            yield charts.percentiles(title_of(row, group.variant, what), rows)


def _percentiles(one: Json, prefix: str) -> dict[str, float]:
    metrics = one["metrics"]
    return {
        name: metrics[prefix + metric]["median"]
        for metric, name in LATENCIES.items()
        if prefix + metric in metrics and metrics[prefix + metric]["median"] > 0
    }


def _varied(row: Json) -> Iterator[Drawing]:
    for (name, told), (x_name, x_told) in itertools.product(RATES.items(), VARIED.items()):
        found = [(one, curve) for one, curve in curves(row, name) if curve["x_name"] == x_name]
        if found:
            log = "xy" if name == "mb_per_s" else "x"
            yield charts.lines(title_of(row), (x_told, told), _by_engine(found), log=log)


def _by_engine(found: Found) -> list[Line]:
    return [Line(one["engine"], hue(one["engine"]), _points(curve)) for one, curve in found]


def _points(curve: Json, log: str = "") -> list[tuple[float, float]]:
    points = list(zip(curve["x"], curve["y"], strict=True))
    seen = [(x, y) for x, y in points if y > 0] if "y" in log else points
    return seen[:: 1 + len(seen) // MOST_POINTS]


def _over_time(row: Json) -> Iterator[Drawing]:
    for name, (told, log) in OVER_TIME.items():
        first: dict[tuple[str, str], tuple[Json, Json]] = {}
        for one, curve in curves(row, name):
            if curve["x_name"] == "s":
                first.setdefault((one["engine"], one["variant"]), (one, curve))
        for variant, found in _by_variant([*first.values()]):
            rows = [line for line in _lines(found, log) if line.points]
            if rows:
                title = title_of(row, variant, told.partition(" in ")[0] + " over time")
                shades = _flushes(found[0][0]["variant"], row)
                yield charts.lines(title, ("seconds", told), rows, log=log, shades=shades)


def _by_variant(found: Found) -> Iterator[tuple[str, Found]]:
    """Yield the engines of each variant; where there is one engine alone, all its variants together."""
    if len({one["engine"] for one, _ in found}) == 1:
        yield "", found
        return
    variants = dict.fromkeys(one["variant"] for one, _ in found)
    for variant in variants:
        yield variant, [pair for pair in found if pair[0]["variant"] == variant]


def _lines(found: Found, log: str) -> list[Line]:
    if len({one["variant"] for one, _ in found}) == 1:
        return [
            Line(one["engine"], hue(one["engine"]), _points(curve, log)) for one, curve in found
        ]
    return [
        Line(f"{one['engine']} {one['variant']}".strip(), number % HUES, _points(curve, log))
        for number, (one, curve) in enumerate(found)
    ]


def _flushes(variant: str, row: Json) -> list[tuple[float, float]]:
    """Return the spans in which flushes ran, of the subject's first turn that tells them.

    "flush_s" grows by a flush's time when it ends, so the flush ran that long before.
    """
    told = [
        curve
        for one, curve in curves(row, "flush_s")
        if (one["engine"], one["variant"]) == (SUBJECT, variant)
    ]
    if not told:
        return []
    steps = itertools.pairwise(zip(told[0]["x"], told[0]["y"], strict=True))
    return [(max(0.0, x - (y - before)), x) for (_, before), (x, y) in steps if y > before]


def _amplification(row: Json) -> Iterator[Drawing]:
    found = [*curves(row, "write_amplification")]
    if found:
        names = ("budget as share of the data", "bytes to the device per byte put")
        yield charts.lines(title_of(row, what="write amplification"), names, _by_engine(found))


def _balance(row: Json) -> Iterator[Drawing]:
    for one, curve in itertools.islice(curves(row, "shard_records"), 1):
        yield charts.shares(title_of(row, one["variant"], "ring balance"), curve["y"])
