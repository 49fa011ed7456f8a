"""`python -m bench report RESULT ... [--output DIR]`: one page of HTML, and its pictures as files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.page.html import page
from bench.page.pictures import pictures
from bench.page.read import NoResult, load, merged
from bench.page.svg import slug

OUTPUT = Path("build/bench/report")


def main(arguments: Sequence[str]) -> int:
    """Write the report of the results; return the exit status: 2 when a file is no result."""
    options = _parser().parse_args(arguments)
    try:
        results = [load(path) for path in options.results]
    except NoResult as error:
        print(error, file=sys.stderr)
        return 2
    whole = merged(results)
    options.output.mkdir(parents=True, exist_ok=True)
    drawn = [one for row in whole["rows"] for one in pictures(row)]
    for one in drawn:
        path = options.output / f"{slug(one.title)}.svg"
        path.write_text(one.svg(alone=True) + "\n", encoding="utf-8")
    path = options.output / "index.html"
    path.write_text(page(whole, [file.name for file in options.results]), encoding="utf-8")
    print(f"written: {path}, and {len(drawn)} pictures beside it")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench report", description=__doc__)
    parser.add_argument(
        "results",
        type=Path,
        nargs="+",
        help="result files; of a row that several have, the first counts",
    )
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="directory to write to (default: %(default)s)"
    )
    return parser
