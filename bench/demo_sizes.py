"""Chapter 5: the rates that were measured, and what lies on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demo_show import MB, Rate, Show
from rich import box
from rich.table import Table

import shardkv

BLOCK_BYTES = 512  #: what stat() counts in


def report(store: shardkv.Store, path: Path, show: Show, loading: shardkv.LogStats) -> None:
    """Print both tables. `loading` holds the log's counters of chapters 1 and 2."""
    show.chapter("5. Rates and sizes")
    show.console.print(rates_table(show.rates))
    show.say(f"One sync of the log, chapters 1 and 2: {sync_times(loading.sync_us)}.")
    show.say("Lookups and scans were served from memory: the files were in the page cache.")
    show.console.print()
    store.flush()
    show.console.print(sizes_table(store, path))


def rates_table(rates: Sequence[Rate]) -> Table:
    """Return the rates; the records in a sync show what a durable rate is made of."""
    table = Table("rates", box=box.SIMPLE_HEAD)
    for name in ("records", "seconds", "records/s", "records/sync"):
        table.add_column(name, justify="right")
    for rate in rates:
        group = f"{rate.records / rate.syncs:,.1f}" if rate.syncs else ""
        speed = f"{rate.per_second:,.0f}"
        table.add_row(rate.what, f"{rate.records:,}", f"{rate.seconds:.3f}", speed, group)
    return table


def sizes_table(store: shardkv.Store, path: Path) -> Table:
    """Return what lies on disk, all of it flushed."""
    records = nbytes = 0
    for key, value in store.scan():
        records, nbytes = records + 1, nbytes + len(key) + len(value)
    counts = [shard.records for shard in store.stats().shards]
    shards = [file.stat().st_size for file in sorted(path.glob("shards/*/data.mdb"))]
    log = [file.stat().st_size for file in path.glob("log/*.log")]
    taken = sum(file.stat().st_blocks * BLOCK_BYTES for file in path.rglob("*") if file.is_file())
    shard = f"{len(shards)} LMDB files, {min(shards) / MB:,.1f} to {max(shards) / MB:,.1f} MB"
    table = Table("sizes", box=box.SIMPLE_HEAD)
    table.add_column(justify="right")
    table.add_column()
    table.add_row("records", f"{records:,}", f"{min(counts):,} to {max(counts):,} in a shard")
    table.add_row("keys and values", f"{nbytes / MB:,.1f} MB", "what was put in")
    table.add_row("shards", f"{sum(shards) / MB:,.1f} MB", shard)
    table.add_row("log", f"{sum(log) / MB:,.1f} MB", f"{len(log)} segments, kept for later writes")
    table.add_row(
        "taken on disk", f"{taken / MB:,.1f} MB", "with space that shards hold in reserve"
    )
    return table


def sync_times(histogram: Sequence[int]) -> str:
    """Say where the median and the 99th percentile of the sync times lie."""
    median, slow = (percentile_range(histogram, share) for share in (0.50, 0.99))
    return f"median {median} us, 99th percentile {slow} us"


def percentile_range(histogram: Sequence[int], share: float) -> str:
    """Return the bounds of the bucket that a percentile lies in."""
    left = sum(histogram) * share
    for bucket, count in enumerate(histogram):
        left -= count
        if count and left <= 0:
            return f"{2**bucket:,} to {2 ** (bucket + 1):,}"
    return "no"
