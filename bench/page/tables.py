"""The tables of the page, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bench.page.read import Json
from bench.page.svg import element
from bench.report import UNITS, number

VERDICTS = {
    "reach": "good",
    "pass": "good",
    "fail": "bad",
    "below reach": "middling",
    "not measured": "none",
}
MARKS = {"reach": "✓✓", "pass": "✓", "fail": "✗", "below reach": "…", "not measured": "-"}


class Html(str):
    """A cell that is HTML already; any other is text."""


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; its cells are text, but for those that are `Html`."""
    head = element("tr", *(element("th", escape(name), scope="col") for name in heads))
    body = [element("tr", *(_cell(cell) for cell in row)) for row in rows]
    whole = element(
        "table",
        element("caption", escape(caption)),
        element("thead", head),
        element("tbody", *body, ""),
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(cell: str) -> str:
    return element("td", cell if isinstance(cell, Html) else escape(cell), "")


def spread(found: Json | None) -> str:
    """Write a median with its range."""
    if found is None:
        return "-"
    return f"{number(found['median'])} ({number(found['low'])} .. {number(found['high'])})"


def targets(rows: Sequence[Json]) -> str:
    """Write floor, reach and measured of every target."""
    lines = []
    for row in rows:
        if row["skipped"]:
            lines.append(
                (str(row["row"]), row["work"], "", "", "", f"skipped: {row['skipped']}", "")
            )
        lines += [_target(row, target) for target in row["targets"]]
    heads = ("row", "work", "unit", "floor", "reach", "measured: median (range)", "verdict")
    return table("Targets: floor, reach, measured", heads, lines)


def unit(target: Json) -> str:
    """Return what a target is measured in: a multiple of a peer's figure, or a unit."""
    peer = target.get("peer_variant") or target.get("peer")
    return f"x {peer}" if target.get("peer") else UNITS.get(target["metric"], target["metric"])


def bound(target: Json, which: str) -> str:
    """Write a target's floor or reach, or nothing where it has none."""
    return "" if target.get(which) is None else number(target[which])


def _target(row: Json, target: Json) -> tuple[str, ...]:
    verdict = target["verdict"]
    return (
        str(row["row"]),
        ", ".join(part for part in (row["work"], target.get("variant", "")) if part),
        unit(target),
        *(bound(target, which) for which in ("floor", "reach")),
        spread(target["measured"]),
        Html(element("span", f"{MARKS[verdict]} {verdict}", class_=VERDICTS[verdict])),
    )


def machine(result: Json) -> str:
    """Write what it was measured on, and how much."""
    about, plan = result["machine"], result["plan"]
    lines = [
        (name.replace("_", " "), str(value)) for name, value in about.items() if name != "versions"
    ]
    versions = about.get("versions", {})
    lines.append(("versions", ", ".join(f"{name} {value}" for name, value in versions.items())))
    lines.append(("plan", _figures(plan)))
    lines += [
        (f"plan, {name}", _figures(told)) for name, told in plan.items() if isinstance(told, dict)
    ]
    return table("Machine, versions, plan", ("what", "value"), lines)


def _figures(plan: Json) -> str:
    """Write what a plan says, except for the plans inside it."""
    told = [
        f"{name} {_figure(value)}"
        for name, value in plan.items()
        if value is not None and not isinstance(value, dict)
    ]
    return ", ".join(told)


def _figure(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    plain = isinstance(value, bool) or not isinstance(value, int | float)
    return str(value) if plain else number(value)


def syncs(rows: Sequence[Json]) -> str:
    """Write the disk's own sync times, measured beside each row."""
    lines = [
        (
            str(row["row"]),
            row["work"],
            *(f"{row['sync'][name]:.0f}" for name in ("overwrite_us", "append_us")),
        )
        for row in rows
        if row["sync"]
    ]
    heads = ("row", "work", "over written bytes, us", "at a growing end, us")
    return (
        table("Write of 4 KiB and fdatasync, median during each row", heads, lines) if lines else ""
    )


def engines(result: Json) -> str:
    """Write how each engine was configured, and which were not there."""
    lines = [(name, str(told)) for name, told in result["engines"].items()]
    lines += [(name, f"did not run: {reason}") for name, reason in result.get("absent", {}).items()]
    return table("How each engine was configured", ("engine", "settings"), lines)


def series(row: Json) -> str:
    """Write every metric of every engine of a row."""
    names = list(dict.fromkeys(name for one in row["series"] for name in one["metrics"]))
    lines = [
        (one["engine"], one["variant"], *(spread(one["metrics"].get(name)) for name in names))
        for one in row["series"]
    ]
    return (
        table(f"{row['work']}: all figures", ("engine", "variant", *names), lines) if lines else ""
    )


def settings(row: Json) -> str:
    """Write a row's own settings as one paragraph, or nothing."""
    told = "; ".join(f"{name}: {_short(value)}" for name, value in row["settings"].items())
    return element("p", escape(told), class_="soft") if told else ""


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(part)}" for name, part in value.items())
    if isinstance(value, list):
        return " ".join(_short(part) for part in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
