"""The kinds of picture: bars with whiskers, percentiles on a log axis, lines, and shares of shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.page.scale import Scale, linear, logarithmic
from bench.page.svg import Drawing, hue
from bench.report import number

WIDTH = 640.0
LABELS = 150.0  # room for names, left
VALUES = 64.0  # room for figures, right
TOP = 40.0
BAR, GAP = 18.0, 8.0
PLOT_HEIGHT = 220.0


@dataclass(frozen=True)
class Bar:
    """One bar: a median and, as whiskers, the range of the rounds."""

    label: str
    engine: str
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Dots:
    """One row of percentiles: name of the percentile -> value, in us."""

    label: str
    engine: str
    values: dict[str, float]


@dataclass(frozen=True)
class Line:
    """One line; `hue` is the number of its colour."""

    label: str
    hue: int
    points: Sequence[tuple[float, float]]


def bars(title: str, unit: str, rows: Sequence[Bar]) -> Drawing:
    """Draw horizontal bars from zero, each with the range of its rounds."""
    told = "; ".join(f"{row.label} {number(row.median)}" for row in rows)
    height = TOP + len(rows) * (BAR + GAP) + 30
    drawing = Drawing(title, f"Median and range in {unit}: {told}.", WIDTH, height)
    drawing.text(0, 14, title, "title")
    axis = linear([row.high for row in rows], LABELS, WIDTH - VALUES)
    bottom = TOP + len(rows) * (BAR + GAP)
    _ticks_below(drawing, axis, bottom, unit)
    for place, row in enumerate(rows):
        _bar(drawing, axis, row, TOP + place * (BAR + GAP), unit)
    return drawing


def _bar(drawing: Drawing, axis: Scale, row: Bar, y: float, unit: str) -> None:
    middle = y + BAR / 2
    tip = f"{row.label}: {number(row.median)} {unit} ({number(row.low)} .. {number(row.high)})"
    drawing.text(LABELS - 8, middle + 4, row.label, anchor="end")
    drawing.rect(LABELS, y, axis.at(row.median) - LABELS, BAR, f"fill-{hue(row.engine)}", tip)
    if row.high > row.low:
        left, right = axis.at(row.low), axis.at(row.high)
        drawing.line(left, middle, right, middle, "whisker")
        for x in (left, right):
            drawing.line(x, middle - 4, x, middle + 4, "whisker")
    drawing.text(axis.at(max(row.median, row.high)) + 6, middle + 4, number(row.median))


def _ticks_below(drawing: Drawing, axis: Scale, bottom: float, unit: str) -> None:
    for value, label in axis.ticks():
        x = axis.at(value)
        drawing.line(x, TOP - 6, x, bottom, "rule")
        drawing.text(x, bottom + 15, label, "soft", "middle")
    drawing.text(0, bottom + 15, unit, "soft")


def percentiles(title: str, rows: Sequence[Dots]) -> Drawing:
    """Draw each row's percentiles as dots on one logarithmic axis of time, joined by a line."""
    told = "; ".join(
        f"{row.label} " + ", ".join(f"{name} {number(v)} us" for name, v in row.values.items())
        for row in rows
    )
    step = BAR + GAP + 10
    bottom = TOP + len(rows) * step
    drawing = Drawing(title, f"Logarithmic axis: {told}.", WIDTH, bottom + 30)
    drawing.text(0, 14, title, "title")
    axis = logarithmic([v for row in rows for v in row.values.values()], LABELS, WIDTH - VALUES / 2)
    _ticks_below(drawing, axis, bottom, "us, log")
    for place, row in enumerate(rows):
        y = TOP + place * step + step / 2
        drawing.text(LABELS - 8, y + 4, row.label, anchor="end")
        found = sorted(row.values.items(), key=lambda item: item[1])
        drawing.path([(axis.at(value), y) for _, value in found], f"line-{hue(row.engine)}")
        for number_of, (name, value) in enumerate(found):
            tip = f"{row.label} {name}: {number(value)} us"
            drawing.dot(axis.at(value), y, f"fill-{hue(row.engine)}", tip)
            drawing.text(
                axis.at(value), y - 8 if number_of % 2 == 0 else y + 16, name, "soft", "middle"
            )
    return drawing


def lines(
    title: str,
    names: tuple[str, str],
    rows: Sequence[Line],
    *,
    log: str = "",
    shades: Sequence[tuple[float, float]] = (),
) -> Drawing:
    """Draw lines over a shared axis.

    Args:
        names: what x and y are, with units.
        rows: at least one, each with at least one point.
        log: which axes are logarithmic, and leave out what is not above 0: "y" for times, whose tail is what one
            looks for, "x" and "xy" for what grows by factors.
        shades: spans of x to mark: where flushes ran.
    """
    places = [point for row in rows for point in row.points]
    height = TOP + PLOT_HEIGHT + 40 + 18 * len(rows)
    drawing = Drawing(title, _lines_told(names, rows, shades), WIDTH, height)
    drawing.text(0, 14, title, "title")
    bottom = TOP + PLOT_HEIGHT
    across = (logarithmic if "x" in log else linear)([x for x, _ in places], 60, WIDTH - 12)
    up = (logarithmic if "y" in log else linear)([y for _, y in places], bottom, TOP)
    for begin, end in shades:
        x = across.at(begin)
        drawing.rect(x, TOP, max(across.at(end) - x, 1.0), PLOT_HEIGHT, "shade", "a flush runs")
    for value, label in up.ticks():
        drawing.line(60, up.at(value), WIDTH - 12, up.at(value), "rule")
        drawing.text(54, up.at(value) + 4, label, "soft", "end")
    for value, label in across.ticks():
        drawing.text(across.at(value), bottom + 15, label, "soft", "middle")
    drawing.line(60, bottom, WIDTH - 12, bottom, "axis")
    drawing.text(60, TOP - 6, names[1], "soft")
    if shades:
        drawing.text(60, bottom + 30, "grey: a flush of shardkv runs", "soft")
    drawing.text(WIDTH - 12, bottom + 30, names[0], "soft", "end")
    for place, row in enumerate(rows):
        drawing.path([(across.at(x), up.at(y)) for x, y in row.points], f"line-{row.hue}")
        y = bottom + 48 + 18 * place
        drawing.rect(60, y - 9, 14, 10, f"fill-{row.hue}")
        drawing.text(80, y, row.label)
    return drawing


def _lines_told(
    names: tuple[str, str], rows: Sequence[Line], shades: Sequence[tuple[float, float]]
) -> str:
    told = []
    for row in rows:
        values = [y for _, y in row.points]
        told.append(f"{row.label} between {number(min(values))} and {number(max(values))}")
    marked = f" {len(shades)} spans of flushing are marked." if shades else ""
    return f"{names[1]} over {names[0]}: {'; '.join(told)}.{marked}"


def shares(title: str, values: Sequence[float]) -> Drawing:
    """Draw what each shard holds as a share of the mean, with a line at the mean."""
    mean = sum(values) / len(values)
    parts = [value / mean for value in values]
    about = f"Of {len(parts)} shards the fullest holds {max(parts):.3f}, the emptiest {min(parts):.3f} of the mean."
    drawing = Drawing(title, about, WIDTH, TOP + PLOT_HEIGHT / 2 + 34)
    drawing.text(0, 14, title, "title")
    bottom = TOP + PLOT_HEIGHT / 2
    up = linear(parts, bottom, TOP)
    for value, label in up.ticks():
        drawing.line(60, up.at(value), WIDTH - 12, up.at(value), "rule")
        drawing.text(54, up.at(value) + 4, label, "soft", "end")
    step = (WIDTH - 72) / len(parts)
    for place, part in enumerate(parts):
        top = up.at(part)
        tip = f"shard {place}: {part:.3f} of the mean"
        drawing.rect(60 + place * step, top, max(step - 2, 1.0), bottom - top, "fill-0", tip)
    drawing.line(60, up.at(1.0), WIDTH - 12, up.at(1.0), "mean")
    drawing.text(60, bottom + 15, "shards; dashed: the mean", "soft")
    drawing.text(WIDTH - 12, bottom + 15, f"max/mean {max(parts):.3f}", "soft", "end")
    return drawing
