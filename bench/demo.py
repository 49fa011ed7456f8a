"""The demo: real data in, a million durable writes, a killed process, everything read back.

python bench/demo.py [--scale 0.01] [--directory DIR]

Works in a temporary directory below build/demo, $SHARDKV_DEMO_DIR or --directory, which should be
on a real disk, and removes it afterwards. The exit status is 1 when a check fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import demo_input
import demo_kill
import demo_million
import demo_reads
import demo_sizes
import machine
from demo_show import MB, Clock, Show

import shardkv

ROOT = Path(__file__).resolve().parents[1]
NEEDED_BYTES = 1500 << 20
QUICK_SCALE = 0.1  #: below it the smallest set of cities does
IN_MEMORY = {"tmpfs", "ramfs"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = os.environ.get("SHARDKV_DEMO_DIR") or str(ROOT / "build" / "demo")
    parser.add_argument("--directory", type=Path, default=Path(default))
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the million, 0.001 to 10"
    )
    told = parser.parse_args()
    if not 0.001 <= told.scale <= 10:
        parser.error("--scale must be between 0.001 and 10")
    return told


def tour(path: Path, show: Show, scale: float) -> None:
    """Run the five chapters on one store."""
    with shardkv.open(path) as store:
        put_in = demo_input.load(store, show, quick=scale < QUICK_SCALE)
        million = demo_million.write_million(store, show, scale)
        before, syncs = len(store), store.stats().log
    with demo_kill.kill_and_reopen(path, show, scale, before) as store:
        demo_reads.read_back(store, show, put_in, million, scale)
        demo_sizes.report(store, path, show, syncs)


def introduce(show: Show, directory: Path) -> None:
    """Say where it runs and what a sync costs there."""
    system = machine.file_system(directory)
    probe = machine.sync_times(directory)["overwrite_us"]
    show.console.print(f"shardkv {shardkv.__version__}", style="bold", highlight=False)
    show.say(f"{os.cpu_count()} cores; store in {directory} ({system}), removed afterwards")
    show.say(f"writing 4 KiB and waiting until it is on disk takes {probe:,.0f} us here (median)")
    if system in IN_MEMORY:
        show.say(
            f"{system} lives in memory: nothing is durable here. Name a disk: SHARDKV_DEMO_DIR=..."
        )


def conclude(show: Show, seconds: float) -> int:
    """Print the verdict and return the exit status."""
    show.console.print()
    for text in show.failed:
        show.console.print(f"FAILED: {text}", style="bold red", markup=False)
    checks = show.passed + len(show.failed)
    show.console.print(
        f"{show.passed} of {checks} checks hold, after {seconds:.0f} s.", style="bold"
    )
    return 1 if show.failed else 0


def main() -> int:
    told = arguments()
    sys.stdout.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    told.directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(told.directory).free
    if free < NEEDED_BYTES * told.scale:
        sys.exit(
            f"{told.directory} has {free / MB:,.0f} MB free; the demo wants "
            f"{NEEDED_BYTES * told.scale / MB:,.0f} MB. Name another: SHARDKV_DEMO_DIR=..."
        )
    clock, show = Clock(), Show()
    with tempfile.TemporaryDirectory(prefix="run-", dir=told.directory) as scratch:
        introduce(show, Path(scratch))
        tour(Path(scratch) / "store", show, told.scale)
    return conclude(show, clock.seconds)


if __name__ == "__main__":
    sys.exit(main())
