"""Chapter 5: the rates that were measured, and what lies on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demo_show import MB, Rate, Show
from rich import box
from rich.table import Table

import shardkv


def report(store: shardkv.Store, path: Path, show: Show, loading: shardkv.LogStats) -> None:
    """Print both tables. `loading` holds the log's counters of chapters 1 and 2."""
    show.chapter("5. Rates and sizes")
    show.console.print(rates_table(show.rates))
    show.say(f"A sync of the log took {sync_times(loading.sync_us)} (chapters 1 and 2).")
    show.say("Lookups and scans were served from memory: the files were in the page cache.")
    store.flush()
    show.console.print(sizes_table(store, path))


def rates_table(rates: Sequence[Rate]) -> Table:
    """Return the rates; records per sync show what a rate is made of."""
    table = Table("rates", box=box.SIMPLE_HEAD)
    for name in ("records", "seconds", "records/s", "log syncs", "records/sync"):
        table.add_column(name, justify="right")
    for rate in rates:
        syncs = "" if rate.syncs is None else f"{rate.syncs:,}"
        group = f"{rate.records / rate.syncs:,.1f}" if rate.syncs else ""
        speed = f"{rate.per_second:,.0f}"
        table.add_row(rate.what, f"{rate.records:,}", f"{rate.seconds:.2f}", speed, syncs, group)
    return table


def sizes_table(store: shardkv.Store, path: Path) -> Table:
    """Return what lies on disk, as the file system counts it."""
    records = nbytes = 0
    for key, value in store.scan():
        records, nbytes = records + 1, nbytes + len(key) + len(value)
    shards = [allocated(directory) for directory in sorted((path / "shards").iterdir())]
    counts = [shard.records for shard in store.stats().shards]
    each = f"{len(shards)} LMDB files of {min(shards) / MB:,.1f} to {max(shards) / MB:,.1f} MB"
    table = Table("sizes", box=box.SIMPLE_HEAD)
    table.add_column(justify="right")
    table.add_column()
    table.add_row("records", f"{records:,}", f"{min(counts):,} to {max(counts):,} in a shard")
    table.add_row("keys and values", f"{nbytes / MB:,.1f} MB", "what was put in")
    table.add_row("shards on disk", f"{sum(shards) / MB:,.1f} MB", each)
    log = f"{allocated(path / 'log') / MB:,.1f} MB"
    table.add_row("log on disk", log, "flushed: its segments are kept to be written again")
    return table


def allocated(directory: Path) -> int:
    """Return the bytes that the file system has given to the files of a directory."""
    return sum(path.stat().st_blocks * 512 for path in directory.iterdir())


def sync_times(histogram: Sequence[int]) -> str:
    """Say where the median and the 99th percentile of the sync times lie."""
    median, slow = (percentile_range(histogram, share) for share in (0.50, 0.99))
    return f"{median} us in the median, {slow} us at the 99th percentile"


def percentile_range(histogram: Sequence[int], share: float) -> str:
    """Return the bounds of the bucket that a percentile lies in."""
    left = sum(histogram) * share
    for bucket, count in enumerate(histogram):
        left -= count
        if count and left <= 0:
            return f"{2**bucket:,} to {2 ** (bucket + 1):,}"
    return "no"
