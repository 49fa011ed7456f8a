"""Result files, read and checked: what the report and a comparison need to know of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
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


def label(one: Json, variants: bool) -> str:
    """Return what a series is called where its engine alone does not tell it."""
    return f"{one['engine']} {one['variant']}".strip() if variants else str(one["engine"])


def groups(row: Json) -> Iterator[tuple[str, list[Json], bool]]:
    """Yield what belongs into one picture: its variant, its series, and whether labels need the variant.

    Variants that several engines ran are compared one by one; else all series stand together.
    """
    variants: dict[str, list[Json]] = {}
    for one in row["series"]:
        variants.setdefault(one["variant"], []).append(one)
    if all(len(series) > 1 for series in variants.values()):
        for variant, series in variants.items():
            yield variant, series, False
    elif row["series"]:
        yield "", row["series"], len(variants) > 1


def bars_of(series: list[Json], metric: str, variants: bool) -> list[Bar]:
    """Return the bars of one metric."""
    return [
        Bar(label(one, variants), one["engine"], found["median"], found["low"], found["high"])
        for one in series
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
