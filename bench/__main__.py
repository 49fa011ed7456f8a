"""`python -m bench`: measure the rows of the target table against the peers."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.engines import ENGINES, engine_class
from bench.harness import QUICK, Harness, Plan, default_directory, stopwatch
from bench.result import RowResult, Unavailable
from bench.rows import ROWS, Row
from bench.targets import judge

RESULT = Path("build/bench/result.json")
PLAIN_WIDTH = 130  # columns, when the output is no terminal
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen rows, print tables, write the result file; return the exit status."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = dataclasses.replace(plan, rounds=options.rounds)
    engines = _installed(options.engines, console)
    options.directory.mkdir(parents=True, exist_ok=True)
    about = machine.machine_class(options.directory)
    if about["file_system"] in MEMORY_FILE_SYSTEMS:
        console.print("[red]This directory lives in memory: the synced rows mean nothing.[/]")
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.directory) as scratch:
        with Harness(plan, engines, Path(scratch).resolve()) as harness:
            rows = [_measure(ROWS[number], harness, console) for number in options.rows]
    report.show(console, rows, about)
    report.write_json(options.output, report.as_json(rows, about, plan, engines))
    console.print(f"written: {options.output}", highlight=False)
    missed = any(one.verdict == "fail" for row in rows for one in judge(row))
    return int(options.check and missed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "--rows", type=_numbers, default=list(ROWS), help="numbers of rows, as 1,2,8 (default: all)"
    )
    add(
        "--engines",
        type=_names,
        default=list(ENGINES),
        help=f"of {','.join(ENGINES)} (default: all)",
    )
    add(
        "--quick", action="store_true", help="small counts and 3 rounds: a check, not a measurement"
    )
    add("--rounds", type=int, help="rounds instead of the plan's")
    add("--output", type=Path, default=RESULT, help="result file (default: %(default)s)")
    add(
        "--directory",
        type=Path,
        default=default_directory(),
        help="scratch files; a real disk (default: %(default)s)",
    )
    add("--check", action="store_true", help="exit with 1 when a floor is missed")
    return parser


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if unknown := set(numbers) - set(ROWS):
        raise argparse.ArgumentTypeError(f"no row {sorted(unknown)}; there are {sorted(ROWS)}")
    return numbers


def _names(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(ENGINES):
        raise argparse.ArgumentTypeError(f"no engine {sorted(unknown)}; there are {list(ENGINES)}")
    return text.split(",")


def _installed(names: Sequence[str], console: Console) -> list[str]:
    found = []
    for name in names:
        try:
            engine_class(name)
        except ImportError as error:
            console.print(f"[yellow]{name} does not run: {error}[/]")
        else:
            found.append(name)
    return found


def _measure(row: Row, harness: Harness, console: Console) -> RowResult:
    with stopwatch() as seconds, console.status(f"row {row.number}: {row.work}"):
        try:
            result = row.measure(row, harness)
        except Unavailable as reason:
            result = RowResult(row.number, row.work, skipped=str(reason))
        console.print(
            f"row {row.number}: {row.work}: {seconds():.0f} s", style="dim", highlight=False
        )
    return result


if __name__ == "__main__":
    sys.exit(main())
