"""`python -m bench ycsb`: the suite `ycsb` with options of its own.

Loads a store for each engine, then lets clients work on copies of it: workloads A-F at every durability
and with every number of clients that is asked for.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.engines import ENGINES
from bench.options import add_engines, add_outcome, add_size, known, plan_of
from bench.run import measure
from bench.ycsb.plan import LEVELS, NAMES, YcsbPlan
from bench.ycsb.records import Damaged
from bench.ycsb.runs import row_name

RESULT = Path("build/bench/ycsb.json")
FEWEST_RECORDS = 100


def main(words: Sequence[str]) -> int:
    """Run the workloads that `words` ask for; return the exit status."""
    told = options(words)
    try:
        return measure(told)
    except Damaged as error:
        print(f"the run ended without a result: {error}", file=sys.stderr)
        return 1


def options(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench ycsb", description=__doc__)
    _add_ycsb(parser)
    add_engines(parser, ENGINES)
    add_size(parser)
    add_outcome(parser, RESULT)
    told = parser.parse_args(words)
    plan = plan_of(told)
    changes = {
        field.name: found
        for field in dataclasses.fields(YcsbPlan)
        if (found := getattr(told, field.name, None)) is not None
    }
    told.plan = dataclasses.replace(plan, ycsb=dataclasses.replace(plan.ycsb, **changes))
    if not told.plan.ycsb.threads and not told.plan.ycsb.tasks:
        parser.error("there are no clients: --threads and --tasks are both 0")
    told.rows = [row_name(name) for name in told.plan.ycsb.workloads]
    return told


def _add_ycsb(parser: argparse.ArgumentParser) -> None:
    usual, add = YcsbPlan(), parser.add_argument
    shown = {
        "--workloads": (_workloads, ",".join(NAMES), "workloads, in this order"),
        "--records": (_at_least(FEWEST_RECORDS), f"{usual.records:,}", "records before a turn"),
        "--operations": (_at_least(1), f"{usual.operations:,}", "at most so many in a turn"),
        "--seconds": (_positive, str(usual.seconds), "measured time of a turn"),
        "--warm-seconds": (_positive, str(usual.warm_seconds), "time before it"),
        "--threads": (_counts, _joined(usual.threads), "client threads, as 1,16; 0: none"),
        "--tasks": (_counts, _joined(usual.tasks), "asyncio tasks, likewise; shardkv alone"),
        "--durability": (_levels, _joined(usual.durability), f"of {','.join(LEVELS)}"),
        "--rate": (_positive, "clients never wait", "operations that arrive per second"),
    }
    for name, (kind, default, told) in shown.items():
        add(name, type=kind, help=f"{told} (default: {default})")
    add(
        "--integrity",
        action="store_true",
        default=None,
        help="check every read, and every record after the turn: not for measuring",
    )


def _joined(items: Sequence[object]) -> str:
    return ",".join(map(str, items))


def _workloads(text: str) -> tuple[str, ...]:
    return tuple(known("workload", text.upper().split(","), NAMES))


def _levels(text: str) -> tuple[str, ...]:
    return tuple(known("durability", text.split(","), LEVELS))


def _counts(text: str) -> tuple[int, ...]:
    if text == "0":
        return ()
    return tuple(_at_least(1)(part) for part in text.split(","))


def _at_least(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        plain = text.replace("_", "")
        if not plain.isdecimal() or int(plain) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of at least {least}")
        return int(plain)

    return count


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return found
