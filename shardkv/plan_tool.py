"""`python -m shardkv plan`: what this machine can hold, and what that takes."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from shardkv.calibrating import calibrate
from shardkv.cli import as_json, say_json, telling
from shardkv.planning import (
    ASSUMPTIONS,
    GROWTHS,
    LOAD_STEPS,
    MOST,
    Calibration,
    Model,
    Needs,
    Wait,
    obstacles,
)

PLAIN_WIDTH = 120
SIZE_STEPS = (0.25, 1, 4, 16, 64)
MOST_VALUE = 32 << 20
UNITS = ("B", "kB", "MB", "GB", "TB")


def _finite_ms(_: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("it must be a number of milliseconds", param=option)
    return value


@click.command()
@click.option("--rate", type=click.IntRange(min=1), required=True, help="Puts per second.")
@click.option("--value-bytes", type=click.IntRange(0, MOST_VALUE), required=True)
@click.option("--key-bytes", type=click.IntRange(8, 500), default=16, show_default=True)
@click.option(
    "--latency",
    type=click.FloatRange(0, 1e6, min_open=True),
    callback=_finite_ms,
    help="p99 that is asked, in ms.",
)
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, writable=True),
    default=".",
    help="On the disk that the store will use; a scratch directory is made there and removed.",
)
@as_json
@telling
def plan(
    rate: int,
    value_bytes: int,
    key_bytes: int,
    latency: float | None,
    directory: str,
    as_json: bool,
) -> None:
    """Calibrate for a few seconds; say whether this machine holds a rate, and what it takes."""
    found = calibrate(directory, key_bytes, value_bytes)
    model = Model(found, key_bytes, value_bytes)
    within = None if latency is None else latency / 1e3
    told = obstacles(model, rate, within)
    if as_json:
        say_json(as_told(model, rate, told))
        return
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    say_calibration(console, found)
    console.print(rates_table(model, rate))
    console.print(sizes_table(found, key_bytes, value_bytes, within))
    say_needs(console, rate, model.needs(rate), shutil.disk_usage(directory).free)
    for text in ASSUMPTIONS:
        console.print(f"- {text.format(most=MOST)}", style="dim")
    console.print(f"\n{verdict(rate, value_bytes, told)}", style="bold")


def verdict(rate: float, value_bytes: int, told: Sequence[str]) -> str:
    """Say whether a rate is held, and if not, why."""
    what = f"{rate:,.0f} puts/s of {value_bytes:,} bytes"
    if told:
        return f"This machine does not hold {what}: {'; '.join(told)}."
    return f"This machine holds {what}."


def as_told(model: Model, rate: float, told: Sequence[str]) -> dict[str, object]:
    """Return everything as JSON carries it; what has no end is null."""
    waits = [model.wait(each) for each in (*(step * model.burst for step in LOAD_STEPS), rate)]
    return {
        "holds": not told,
        "obstacles": [*told],
        "burst_per_s": model.burst,
        "sustained_per_s": {str(growth): model.sustained(growth) for growth in GROWTHS},
        "waits": [_finite(dataclasses.asdict(wait)) for wait in waits],
        "needs": dataclasses.asdict(model.needs(rate)),
        "calibration": dataclasses.asdict(model.found),
        "assumptions": [text.format(most=MOST) for text in ASSUMPTIONS],
    }


def _finite(told: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in told.items()}


def amount(size: float) -> str:
    """Write bytes with three digits and a unit."""
    step = min(len(UNITS) - 1, max(0, int(math.log10(max(size, 1.0)) // 3)))
    return f"{size / 1000**step:.3g} {UNITS[step]}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if math.isfinite(seconds) else "without end"


def say_calibration(console: Console, found: Calibration) -> None:
    """Print what was measured."""
    console.print(
        f"Measured with keys of {found.key_bytes} and values of {found.value_bytes} bytes: a sync takes "
        f"{_ms(found.sync.mean)} ms on average, p99 {_ms(found.sync_p99)} ms; 1,000 tasks put {1 / found.put:,.0f}/s, "
        f"one loop submits {1 / found.submit:,.0f}/s; a flush rewrites {1 / found.flush_page:,.0f} pages/s.\n"
    )


def rates_table(model: Model, rate: float) -> Table:
    """Make the table of latencies by rate, the asked one among them."""
    table = Table(title="Latency by rate, every put synced", title_justify="left")
    for heading in ("puts/s", "mean ms", "p99 ms", "puts per sync", "callers waiting at once"):
        table.add_column(heading, justify="right")
    waits = sorted({*(step * model.burst for step in LOAD_STEPS), rate})
    for each in waits:
        table.add_row(*_wait_cells(model.wait(each)), style="bold" if each == rate else "")
    return table


def _wait_cells(wait: Wait) -> tuple[str, ...]:
    if not math.isfinite(wait.mean):
        return f"{wait.rate:,.0f}", "without end", "without end", "", ""
    rounded = f"{wait.group:,.1f}", f"{math.ceil(wait.callers):,}"
    return f"{wait.rate:,.0f}", _ms(wait.mean), _ms(wait.p99), *rounded


def sizes_table(
    found: Calibration, key_bytes: int, value_bytes: int, latency: float | None
) -> Table:
    """Make the table of rates by value size."""
    bound = "" if latency is None else f", p99 within {_ms(latency)} ms"
    table = Table(title=f"Highest rates by value size{bound}", title_justify="left")
    heads = (
        "value bytes",
        "puts/s in bursts",
        *(f"for good, data {g} x budget" for g in GROWTHS),
        "p99 ms of bursts",
    )
    for heading in heads:
        table.add_column(heading, justify="right")
    sizes = sorted({min(MOST_VALUE, max(1, int(value_bytes * step))) for step in SIZE_STEPS})
    for size in sizes:
        holding = Model(found, key_bytes, size).holding(size, latency)
        rates = (f"{each:,.0f}" for each in (holding.burst, *holding.sustained))
        table.add_row(
            f"{size:,}", *rates, _ms(holding.at.p99), style="bold" if size == value_bytes else ""
        )
    return table


def say_needs(console: Console, rate: float, needs: Needs, free: float) -> None:
    """Print what a rate takes of disk and memory."""
    device = ", ".join(
        f"{amount(each)}/s at {growth} x budget"
        for growth, each in zip(GROWTHS, needs.device_s, strict=True)
    )
    full = free / needs.shard_growth_s if needs.shard_growth_s else math.inf
    console.print(
        f"\n{rate:,.0f} puts/s take\n"
        f"  disk: log up to {amount(needs.log_disk)}; shards grow by {amount(needs.shard_growth_s * 3600)} an hour, "
        f"which fills the {amount(free)} that are free in {full / 3600:,.1f} hours\n"
        f"  written to the device, log and flush: {device}\n"
        f"  memory: index up to {amount(needs.index_heap)}, a flush up to {amount(needs.flush_heap)}, page cache for "
        f"the unflushed log {amount(needs.page_cache)}\n"
        f"  a flush may stand still for {needs.budget_s:,.1f} s before writers are held back\n"
    )
