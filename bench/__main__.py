"""`python -m bench [SUITE ...]`: measure the rows of the suites against the peers.

`python -m bench COMMAND ...` runs what else the benchmark does; see COMMANDS.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rich.console import Console

from bench import figures, machine, report
from bench.harness import QUICK, Harness, Plan, default_directory, stopwatch
from bench.installed import NAMES, look
from bench.result import RowResult, Unavailable
from bench.rows import Row
from bench.suites import EVERY, ROWS, SUITES, USUAL, rows_of
from bench.targets import judge

RESULT = Path("build/bench/result.json")
PLAIN_WIDTH = 130  # columns, when the output is no terminal
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}

#: First word of the command line -> what it runs with the words after it; returns the exit status.
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"figures": figures.main}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, or the suites; return the exit status."""
    words = sys.argv[1:] if arguments is None else [*arguments]
    if words and words[0] in COMMANDS:
        return COMMANDS[words[0]](words[1:])
    return measure(_options(words))


def measure(options: argparse.Namespace) -> int:
    """Run the chosen rows, print tables, write the result file; return the exit status."""
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


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(words)
    if options.suites and options.rows:
        parser.error("name suites or --rows, not both")
    options.rows = options.rows or rows_of(options.suites or USUAL)
    return options


def _parser() -> argparse.ArgumentParser:
    told = [f"  {suite.name:10} {suite.about}" for suite in SUITES.values()]
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure shardkv beside the engines people use.",
        epilog="\n".join(
            ["suites:", *told, f"  {EVERY:10} all of them", f"commands: {', '.join(COMMANDS)}"]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "suites",
        nargs="*",
        type=_suite,
        metavar="SUITE",
        help=f"what to measure (default: {' '.join(USUAL)})",
    )
    add("--rows", type=_rows, help=f"rows instead of suites, as 1,2,counter; of {','.join(ROWS)}")
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


def _suite(text: str) -> str:
    if text not in SUITES and text != EVERY:
        known = ", ".join([*SUITES, EVERY])
        raise argparse.ArgumentTypeError(
            f"no suite {text!r}; suites are {known}; commands are {', '.join(COMMANDS)}"
        )
    return text


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
