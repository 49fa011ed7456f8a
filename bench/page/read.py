"""Result files, read and checked: what the report and a comparison need to know of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.page.charts import Bar

Json = dict[str, Any]
KEYS = ("machine", "plan", "engines", "rows")
LATENCIES = {"p50_us": "p50", "p95_us": "p95", "p99_us": "p99", "p999_us": "p99.9", "max_us": "max"}


class NoResult(Exception):
    """A file that is no result of this benchmark; the message names it and says what is wrong."""


def load(path: Path) -> Json:
    """Read a result file.

    Raises:
        NoResult: when it is not there, is no JSON, or lacks what every result has.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoResult(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NoResult(f"{path} is no JSON: {error}") from error
    missing = [key for key in KEYS if not isinstance(found, dict) or key not in found]
    if missing:
        raise NoResult(f"{path} is no result of `python -m bench`: it has no {', '.join(missing)}")
    told: Json = found
    return told


def merged(results: list[Json]) -> Json:
    """Return the rows of all results as one; the first that has a row gives it.

    Each row keeps what it was measured on, under `machine`.
    """
    rows: dict[str, Json] = {}
    for result in results:
        for row in result["rows"]:
            rows.setdefault(str(row["row"]), {**row, "machine": result["machine"]})
    engines = {
        name: told for result in reversed(results) for name, told in result["engines"].items()
    }
    absent: Json = {}
    for result in results:
        absent |= result.get("absent", {})
    reasons = [told for result in results for told in result.get("noise", {}).get("reasons", ())]
    noise = {"reasons": reasons}
    common = {"engines": engines, "absent": absent, "noise": noise}
    return {**results[0], "rows": [*rows.values()], **common}


def main_metric(row: Json) -> str | None:
    """Return what the row is judged by: the metric of its first target, else its first rate or metric."""
    there = list(dict.fromkeys(name for one in row["series"] for name in one["metrics"]))
    judged = [target["metric"] for target in row["targets"] if target["metric"] in there]
    rates = [name for name in there if name.endswith("per_s")]
    return next(iter([*judged, *rates, *there]), None)


def flat(plan: Json) -> Json:
    """Return a plan with the figures of its parts beside its own, as `part.figure`."""
    told: Json = {}
    for name, value in plan.items():
        parts = flat(value) if isinstance(value, dict) else {}
        told |= {f"{name}.{part}": each for part, each in parts.items()} or {name: value}
    return told


@dataclass(frozen=True)
class Group:
    """Series that belong into one picture, what they share of their variants, and where labels begin."""

    variant: str
    series: list[Json]
    by_variant: bool

    def label(self, one: Json) -> str:
        """Return what a series is called in this picture."""
        rest = one["variant"].removeprefix(self.variant).removeprefix(", ")
        return f"{one['engine']} {rest}".strip() if self.by_variant else str(one["engine"])


def groups(row: Json) -> Iterator[Group]:
    """Yield what belongs into one picture.

    Variants that several engines ran are compared one by one. Where one of them ran alone, those that begin alike, as
    "synced, 16 threads" and "synced, 64 tasks", stand together. Of one engine, all stand together.
    """
    if len({one["engine"] for one in row["series"]}) == 1:
        yield Group("", row["series"], len(row["series"]) > 1)
        return
    alike: dict[str, dict[str, list[Json]]] = {}
    for one in row["series"]:
        begin = one["variant"].rpartition(", ")[0]
        alike.setdefault(begin, {}).setdefault(one["variant"], []).append(one)
    for begin, variants in alike.items():
        if all(len(series) > 1 for series in variants.values()):
            for variant, series in variants.items():
                yield Group(variant, series, False)
        else:
            together = [one for series in variants.values() for one in series]
            yield Group(begin, together, True)


def bars_of(group: Group, metric: str) -> list[Bar]:
    """Return the bars of one metric."""
    return [
        Bar(group.label(one), one["engine"], found["median"], found["low"], found["high"])
        for one in group.series
        if (found := one["metrics"].get(metric))
    ]


def curves(row: Json, name: str) -> Iterator[tuple[Json, Json]]:
    """Yield series and curve for every curve of that name."""
    for one in row["series"]:
        for curve in one.get("curves", ()):
            if curve["name"] == name and curve["x"]:
                yield one, curve


def title_of(row: Json, variant: str = "", what: str = "") -> str:
    """Return the title of a picture of a row."""
    named = f"Row {row['row']}" if str(row["row"]).isdigit() else str(row["row"])
    return f"{named}: {', '.join(part for part in (row['work'], variant, what) if part)}"
