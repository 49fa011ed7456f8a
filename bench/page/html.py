"""The page: everything in one file that asks for nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.page import queues, tables
from bench.page.pictures import pictures
from bench.page.read import Json, title_of
from bench.page.svg import element, slug, style

STYLE = (
    "body{margin:0 auto;max-width:1100px;padding:1.5rem;background:var(--ground);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.6rem}h2{margin-top:2.5rem;font-size:1.15rem;border-top:1px solid var(--rule);padding-top:1rem}"
    "a{color:var(--hue-0)}.soft{color:var(--soft)}.scroll{overflow-x:auto;margin:1rem 0}"
    "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:600;padding:.3rem 0}"
    "th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--rule);vertical-align:top}"
    "figure{margin:1rem 0}svg{max-width:100%;height:auto}summary{cursor:pointer;color:var(--soft)}"
    ".good{color:var(--hue-2)}.bad{color:var(--hue-5);font-weight:600}.middling{color:var(--hue-1)}.none{color:var(--soft)}"
    "nav a{margin-right:.8rem}"
)


def page(result: Json, sources: Sequence[str]) -> str:
    """Write the report of a result.

    Args:
        result: of one file, or of several, merged.
        sources: names of the files.
    """
    rows = result["rows"]
    parts = [
        element("h1", "shardkv benchmark"),
        element("p", escape(_about(result, sources)), class_="soft"),
        *_noise(result),
        element("nav", *(_link(row) for row in rows), "", aria_label="rows"),
        tables.targets(rows),
        tables.machine(result),
        tables.syncs(rows),
        tables.engines(result),
        *(_section(row) for row in rows),
    ]
    head = (
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        element("title", "shardkv benchmark"),
        element("style", style(":root") + STYLE),
    )
    body = element("body", element("main", *parts))
    return "<!DOCTYPE html>\n" + element("html", element("head", *head), body, lang="en") + "\n"


def _about(result: Json, sources: Sequence[str]) -> str:
    machine, plan = result["machine"], result["plan"]
    rounds = f"{plan['rounds']} interleaved rounds" if "rounds" in plan else "the plan below"
    return (
        f"Made from {', '.join(sources)}. Medians of {rounds}; whiskers and brackets are the lowest and the highest "
        f"round. {machine['cores']} cores ({machine['cpu']}), {machine['file_system']}, {machine['kernel']}, "
        f"Python {machine['python']}. A synced write is on the disk when it returns, for every engine; rows without a "
        "sync say so. Ratios are taken within a round."
    )


def _noise(result: Json) -> list[str]:
    reasons = result.get("noise", {}).get("reasons", ())
    if not reasons:
        return []
    told = f"The machine was noisy; these figures say less than they seem to: {'; '.join(reasons)}."
    return [element("p", escape(told), class_="bad", role="note")]


def _link(row: Json) -> str:
    return element("a", escape(str(row["row"])), href=f"#{_anchor(row)}", title=row["work"])


def _anchor(row: Json) -> str:
    return slug(f"row {row['row']}")


def _section(row: Json) -> str:
    figures = [element("figure", one.svg()) for one in pictures(row)]
    if row["skipped"]:
        figures = [element("p", escape(f"Skipped: {row['skipped']}"))]
    whole = tables.series(row)
    detail = element("details", element("summary", "all figures"), whole) if whole else ""
    heading = element("h2", escape(title_of(row)))
    return element(
        "section",
        heading,
        tables.settings(row),
        *figures,
        queues.view(row),
        detail,
        id=_anchor(row),
    )
