"""One run: the chosen rows one after another, told loudly when something cannot or should not count."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.harness import Harness, stopwatch
from bench.installed import Installed, look
from bench.noise import Noise, load_noise, row_noise
from bench.plans import Plan
from bench.result import RowResult, Unavailable
from bench.rows import Row
from bench.suites import ROWS
from bench.targets import judge

PLAIN_WIDTH = 130  # columns, when the output is no terminal
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}
LOOK_SECONDS = 2.0


def measure(options: argparse.Namespace) -> int:
    """Run the chosen rows, print tables, write the result file; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    installed = look(options.engines)
    for name, reason in installed.absent.items():
        console.print(f"[bold red]{name} does not run: {reason}[/]")
    options.directory.mkdir(parents=True, exist_ok=True)
    reasons = load_noise(_settled(options.plan.settle_seconds, console))
    about = machine.machine_class(options.directory)
    if about["file_system"] in MEMORY_FILE_SYSTEMS:
        console.print("[red]This directory lives in memory: the synced rows mean nothing.[/]")
    rows = _rows([ROWS[name] for name in options.rows], options, installed, console)
    reasons += [reason for row in rows for reason in row_noise(row)]
    noise = Noise(tuple(reasons), options.accept_noise)
    report.show(console, rows, about)
    report.write_json(options.output, report.as_json(rows, about, options.plan, installed, noise))
    console.print(f"written: {options.output}", highlight=False)
    return _status(rows, noise, options.check, console)


def _settled(seconds: float, console: Console) -> float:
    """Wait until the load is low, `seconds` at most; return it."""
    deadline = time.monotonic() + seconds
    with console.status("waiting for the load of the machine to fall"):
        while load_noise(os.getloadavg()[0]) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
    return os.getloadavg()[0]


def _rows(
    rows: Sequence[Row], options: argparse.Namespace, installed: Installed, console: Console
) -> list[RowResult]:
    lacking = no_room(rows, options.plan, options.directory)
    for name, reason in lacking.items():
        console.print(f"[bold red]row {name} does not run: {reason}[/]")
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.directory) as scratch:
        with Harness(options.plan, [*installed.settings], Path(scratch).resolve()) as harness:
            return [
                RowResult(row.name, row.work, skipped=lacking[row.name])
                if row.name in lacking
                else _measure(row, harness, console)
                for row in rows
            ]


def no_room(rows: Sequence[Row], plan: Plan, directory: Path) -> Mapping[str, str]:
    """Name the rows whose files would not fit into `directory`, with the reason."""
    free = shutil.disk_usage(directory).free
    return {
        row.name: f"it needs {need / 1e9:.1f} GB free in {directory}, where there are {free / 1e9:.1f}"
        for row in rows
        for need in [row.disk_bytes(plan)]
        if need > free
    }


def _measure(row: Row, harness: Harness, console: Console) -> RowResult:
    """Measure a row; again when the machine was too noisy, whatever the figures were, as often as the plan says."""
    for attempt in range(1, harness.plan.attempts + 1):
        result = dataclasses.replace(_attempt(row, harness, console), attempts=attempt)
        if not row_noise(result):
            break
    return result


def _attempt(row: Row, harness: Harness, console: Console) -> RowResult:
    before = len(harness.calibrations)
    with stopwatch() as seconds, console.status(f"row {row.name}: {row.work}"):
        try:
            result = row.measure(row, harness)
        except Unavailable as reason:
            result = RowResult(row.name, row.work, skipped=str(reason))
            console.print(f"[bold red]row {row.name} does not run: {reason}[/]")
        told = f"row {row.name}: {row.work}: {seconds():.0f} s"
        console.print(told, style="dim", highlight=False)
    result = dataclasses.replace(result, calibrations=tuple(harness.calibrations[before:]))
    for reason in row_noise(result):
        console.print(f"too noisy: {reason}", style="dim", highlight=False)
    return result


def _status(rows: Sequence[RowResult], noise: Noise, check: bool, console: Console) -> int:
    for reason in noise.reasons:
        console.print(f"[bold red]too noisy: {reason}[/]", highlight=False)
    if noise.reasons:
        fate = "accepted, and the result says so" if noise.accepted else "not to be used"
        console.print(f"[bold red]These figures are {fate} (--accept-noise).[/]")
    missed = any(one.verdict == "fail" for row in rows for one in judge(row))
    return int(check and (missed or noise.refused))
