"""`python -m bench`: measure the rows of the target table against the peers."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.harness import QUICK, Harness, Plan, default_directory, stopwatch
from bench.installed import NAMES, look
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
    installed = look(options.engines)
    for name, reason in installed.absent.items():
        console.print(f"[bold red]{name} does not run: {reason}[/]")
    options.directory.mkdir(parents=True, exist_ok=True)
    about = machine.machine_class(options.directory)
    if about["file_system"] in MEMORY_FILE_SYSTEMS:
        console.print("[red]This directory lives in memory: the synced rows mean nothing.[/]")
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.directory) as scratch:
        with Harness(plan, [*installed.settings], Path(scratch).resolve()) as harness:
            rows = [_measure(ROWS[name], harness, console) for name in options.rows]
    report.show(console, rows, about)
    report.write_json(options.output, report.as_json(rows, about, plan, installed))
    console.print(f"written: {options.output}", highlight=False)
    missed = any(one.verdict == "fail" for row in rows for one in judge(row))
    return int(options.check and missed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "--rows",
        type=_rows,
        default=list(ROWS),
        help=f"of {','.join(ROWS)}, as 1,2,counter (default: all)",
    )
    add(
        "--engines",
        type=_engines,
        default=list(NAMES),
        help=f"of {','.join(NAMES)} (default: all)",
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


def _rows(text: str) -> list[str]:
    return _known("row", text.split(","), ROWS)


def _engines(text: str) -> list[str]:
    return _known("engine", text.split(","), NAMES)


def _known(kind: str, names: list[str], known: Collection[str]) -> list[str]:
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no {kind} {unknown}; there are {[*known]}")
    return names


def _measure(row: Row, harness: Harness, console: Console) -> RowResult:
    with stopwatch() as seconds, console.status(f"row {row.name}: {row.work}"):
        try:
            result = row.measure(row, harness)
        except Unavailable as reason:
            result = RowResult(row.name, row.work, skipped=str(reason))
        console.print(
            f"row {row.name}: {row.work}: {seconds():.0f} s", style="dim", highlight=False
        )
    return result


if __name__ == "__main__":
    sys.exit(main())
