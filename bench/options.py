"""The options of a run: which suites, how much, where to."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from bench import plans
from bench.harness import default_directory
from bench.installed import NAMES
from bench.suites import EVERY, ROWS, SUITES, USUAL, rows_of

RESULT = Path("build/bench/result.json")


def run_options(words: Sequence[str], commands: Collection[str]) -> argparse.Namespace:
    """Read the command line of a run; `commands` are what may stand in the place of a suite."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure shardkv beside the engines people use.",
        epilog=_words(commands),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_work(parser, commands)
    add_engines(parser, NAMES)
    add_size(parser)
    _add_set(parser)
    add_outcome(parser, RESULT)
    options = parser.parse_args(words)
    if options.suites and options.rows:
        parser.error("name suites or --rows, not both")
    options.rows = options.rows or rows_of(options.suites or USUAL)
    options.plan = plan_of(options)
    return options


def plan_of(options: argparse.Namespace) -> plans.Plan:
    """Return the plan that the options of `add_size` ask for."""
    rounds = {"rounds": options.rounds} if options.rounds else {}
    return plans.changed(options.plan, {**dict(options.set), **rounds})


def _words(commands: Collection[str]) -> str:
    told = [f"  {suite.name:10} {suite.about}" for suite in SUITES.values()]
    end = [f"  {EVERY:10} all of them", f"commands: {', '.join(commands)}"]
    return "\n".join(["suites:", *told, *end])


def _add_work(parser: argparse.ArgumentParser, commands: Collection[str]) -> None:
    add = parser.add_argument
    add(
        "suites",
        nargs="*",
        type=_suite(commands),
        metavar="SUITE",
        help=f"what to measure (default: {' '.join(USUAL)})",
    )
    add("--rows", type=_rows, help=f"rows instead of suites, as 1,2,counter; of {','.join(ROWS)}")


def add_engines(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Add the option that chooses engines of `names`."""
    parser.add_argument(
        "--engines",
        type=lambda text: known("engine", text.split(","), names),
        default=list(names),
        help=f"of {','.join(names)} (default: all)",
    )


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose and change a plan; `plan_of` reads them."""
    parser.set_defaults(plan=plans.Plan())
    size = parser.add_mutually_exclusive_group()
    for name, plan, told in (
        ("--quick", plans.QUICK, "small counts and 2 rounds: a check, not a measurement"),
        ("--full", plans.FULL, "10 M records where the target table says so; takes hours"),
    ):
        size.add_argument(name, dest="plan", action="store_const", const=plan, help=told)
    parser.add_argument("--rounds", type=_positive, help="rounds instead of the plan's")
    parser.set_defaults(set=[])


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help=f"another figure of the plan, as log_records=1e6; of {', '.join(plans.FIELDS)}",
    )


def add_outcome(parser: argparse.ArgumentParser, result: Path) -> None:
    """Add the options about files and the exit status."""
    add = parser.add_argument
    add("--output", type=Path, default=result, help="result file (default: %(default)s)")
    add(
        "--directory",
        type=Path,
        default=default_directory(),
        help="scratch files; a real disk (default: %(default)s)",
    )
    add(
        "--check",
        action="store_true",
        help="exit with 1 when a floor is missed or the machine was too noisy",
    )
    add(
        "--accept-noise",
        action="store_true",
        help="let figures of a noisy machine count; the result says so",
    )


def _suite(commands: Collection[str]) -> Callable[[str], str]:
    def suite(text: str) -> str:
        if text not in SUITES and text != EVERY:
            suites = ", ".join([*SUITES, EVERY])
            raise argparse.ArgumentTypeError(
                f"no suite {text!r}; suites are {suites}; commands are {', '.join(commands)}"
            )
        return text

    return suite


def _rows(text: str) -> list[str]:
    return known("row", text.split(","), ROWS)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def _setting(text: str) -> tuple[str, float]:
    try:
        return plans.setting(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def known(kind: str, names: list[str], there: Collection[str]) -> list[str]:
    """Return `names`.

    Raises:
        ArgumentTypeError: when one of them is not among those that are `there`.
    """
    if unknown := [name for name in names if name not in there]:
        raise argparse.ArgumentTypeError(f"no {kind} {unknown}; there are {[*there]}")
    return names
