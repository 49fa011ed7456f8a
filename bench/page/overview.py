"""README's picture: a few rows of one result, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from bench.page.read import Json
from bench.page.scale import linear
from bench.page.svg import Drawing, hue
from bench.report import number

COLUMNS = 2
PANEL, BETWEEN = 370.0, 24.0
NAMES, VALUES = 78.0, 52.0
BAR, GAP, HEAD, FOOT = 13.0, 5.0, 24.0, 18.0
ENGINES = 5  # room for so many in a panel


@dataclass(frozen=True)
class Panel:
    """One row of the result, in README's words; of each engine its best variant where `variant` is None."""

    title: str
    row: str
    variant: str | None = ""
    metric: str = "per_s"


PANELS = (
    Panel("put, 1 thread", "1"),
    Panel("put, 64 threads", "2", "64 threads"),
    Panel("put, 1,000 asyncio tasks; peers: their best threads", "3", None),
    Panel("put_many(1,000)", "5"),
    Panel("get, cached", "8"),
    Panel("ordered scan, 16 shards: rows", "9"),
)


def overview(result: Json) -> Drawing:
    """Draw the panels whose rows the result has."""
    rows = {str(row["row"]): row for row in result["rows"]}
    found = [(one, _best(rows[one.row], one)) for one in PANELS if one.row in rows]
    found = [(panel, series) for panel, series in found if series]
    depth = HEAD + ENGINES * (BAR + GAP) + FOOT
    told = "; ".join(f"{panel.title}: {_told(panel, series)}" for panel, series in found)
    drawing = Drawing(
        "shardkv beside its peers, per second",
        f"Medians with the range of the rounds, more is better. {told}.",
        COLUMNS * PANEL + (COLUMNS - 1) * BETWEEN,
        -(-len(found) // COLUMNS) * depth,
    )
    for place, (panel, series) in enumerate(found):
        x, y = (place % COLUMNS) * (PANEL + BETWEEN), place // COLUMNS * depth
        _panel(drawing, panel, series, (x, y))
    return drawing


def _best(row: Json, panel: Panel) -> list[Json]:
    """Return one series of each engine, best first, those that got nothing done left out."""
    best: dict[str, Json] = {}
    for one in row["series"]:
        spread = one["metrics"].get(panel.metric)
        if panel.variant not in (None, one["variant"]) or not spread or not spread["median"]:
            continue
        old = best.get(one["engine"])
        if old is None or spread["median"] > old["metrics"][panel.metric]["median"]:
            best[one["engine"]] = one
    ordered = sorted(best.values(), key=lambda one: -one["metrics"][panel.metric]["median"])
    return ordered[:ENGINES]


def _told(panel: Panel, series: list[Json]) -> str:
    return ", ".join(
        f"{one['engine']} {number(one['metrics'][panel.metric]['median'])}" for one in series
    )


def _panel(drawing: Drawing, panel: Panel, series: list[Json], corner: tuple[float, float]) -> None:
    left, top = corner
    drawing.text(left, top + 14, panel.title, "title")
    spreads = [one["metrics"][panel.metric] for one in series]
    axis = linear([one["high"] for one in spreads], left + NAMES, left + PANEL - VALUES)
    for place, (one, spread) in enumerate(zip(series, spreads, strict=True)):
        y = top + HEAD + place * (BAR + GAP)
        middle = y + BAR / 2
        drawing.text(left + NAMES - 6, middle + 4, one["engine"], anchor="end")
        width = axis.at(spread["median"]) - axis.begin
        drawing.rect(axis.begin, y, width, BAR, f"fill-{hue(one['engine'])}")
        drawing.line(axis.at(spread["low"]), middle, axis.at(spread["high"]), middle, "whisker")
        drawing.text(axis.at(spread["high"]) + 5, middle + 4, number(spread["median"]))
