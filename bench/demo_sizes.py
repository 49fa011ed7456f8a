"""Chapter 5: the rates that were measured, and what lies on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demo_show import MB, Rate, Show
from rich import box
from rich.table import Table

import shardkv


def rates_table(rates: Sequence[Rate]) -> Table:
    """Return the rates; records per sync show what a rate is made of."""
    table = Table(box=box.SIMPLE_HEAD, title="rates", title_justify="left")
    table.add_column("what")
    for name in ("records", "seconds", "records/s", "syncs", "records per sync"):
        table.add_column(name, justify="right")
    for rate in rates:
        syncs = "" if rate.syncs is None else f"{rate.syncs:,}"
        group = f"{rate.records / rate.syncs:,.1f}" if rate.syncs else ""
        speed = f"{rate.per_second:,.0f}"
        table.add_row(rate.what, f"{rate.records:,}", f"{rate.seconds:.2f}", speed, syncs, group)
    return table


def sizes_table(store: shardkv.Store, path: Path) -> Table:
    """Return what lies on disk, as the file system counts it, after everything was flushed."""
    records = nbytes = 0
    for key, value in store.scan():
        records, nbytes = records + 1, nbytes + len(key) + len(value)
    shards = [allocated(directory) for directory in sorted((path / "shards").iterdir())]
    counts = [shard.records for shard in store.stats().shards]
    table = Table(box=box.SIMPLE_HEAD, title="sizes", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("records", f"{records:,}", f"{min(counts):,} to {max(counts):,} in a shard")
    table.add_row("keys and values", f"{nbytes / MB:,.1f} MB", "")
    note = f"{len(shards)} files of {min(shards) / MB:,.1f} to {max(shards) / MB:,.1f} MB"
    table.add_row("shards on disk", f"{sum(shards) / MB:,.1f} MB", note)
    log = allocated(path / "log")
    table.add_row("log on disk", f"{log / MB:,.1f} MB", "its segments are kept and used again")
    return table


def allocated(directory: Path) -> int:
    """Return the bytes that the file system has given to the files of a directory."""
    return sum(path.stat().st_blocks * 512 for path in directory.iterdir())


def sync_times(histogram: Sequence[int]) -> str:
    """Say where median and 99th percentile of the sync times lie."""
    return ", ".join(
        f"{name} between {2**bucket:,} and {2 ** (bucket + 1):,} us"
        for name, share in (("median", 0.50), ("99th percentile", 0.99))
        if (bucket := percentile_bucket(histogram, share)) is not None
    )


def percentile_bucket(histogram: Sequence[int], share: float) -> int | None:
    """Return the bucket in which a percentile of a histogram lies; None when it is empty."""
    left = sum(histogram) * share
    for bucket, count in enumerate(histogram):
        left -= count
        if count and left <= 0:
            return bucket
    return None


def report(store: shardkv.Store, path: Path, show: Show, syncs: shardkv.LogStats) -> None:
    """Print both tables. `syncs` are the log's counters of the chapters that loaded the store."""
    show.chapter("5. Rates and sizes")
    store.flush()
    show.console.print(rates_table(show.rates))
    show.console.print(sizes_table(store, path))
    show.say(
        f"A sync took, over the {syncs.syncs:,} of chapters 1 and 2: {sync_times(syncs.sync_us)}."
    )
