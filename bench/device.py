"""Bytes written, by the device's own counters and by the kernel's account of this process.

The device's counters (/proc/diskstats) are what reached it, the file system's journal included, and what
any other process wrote meanwhile: `idle_bytes_per_s` looks how much that is. The account of the process
(/proc/self/io) is what it made dirty in the page cache, by whole folios: no other process is in it, but it
can be several times what reaches the device. Judge by the device's, on a quiet machine.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512  # the unit of diskstats on every device
WRITTEN_SECTORS = 9  # its field there
DISKSTATS = Path("/proc/diskstats")
IDLE_SECONDS = 0.2


@dataclass(frozen=True)
class Written:
    """Bytes written until now; `device` is None where no device of its own holds the directory."""

    device: int | None
    process: int

    @classmethod
    def now(cls, directory: Path) -> Written:
        """Write everything back, then read the counters."""
        os.sync()
        return cls(device_bytes(directory), process_bytes())

    def per_byte(self, before: Written, put_bytes: int) -> dict[str, float]:
        """Return what was written since `before` for each byte of `put_bytes`."""
        found = {"process_per_byte": (self.process - before.process) / put_bytes}
        if self.device is not None and before.device is not None:
            found["device_per_byte"] = (self.device - before.device) / put_bytes
        return found


def device_bytes(directory: Path, diskstats: Path = DISKSTATS) -> int | None:
    """Return the bytes ever written to the device that holds `directory`; None: it is not listed."""
    device = os.stat(directory).st_dev
    numbers = [str(os.major(device)), str(os.minor(device))]
    for line in diskstats.read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[:2] == numbers:
            return int(fields[WRITTEN_SECTORS]) * SECTOR_BYTES
    return None


def process_bytes() -> int:
    """Return the bytes that this process made dirty, less what was removed before it was written."""
    told = dict(
        line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    )
    return int(told["write_bytes"]) - int(told["cancelled_write_bytes"])


def idle_bytes_per_s(directory: Path, seconds: float = IDLE_SECONDS) -> float:
    """Return what others write to the device while this process writes nothing."""
    before = Written.now(directory).device
    time.sleep(seconds)
    after = device_bytes(directory)
    return 0.0 if before is None or after is None else (after - before) / seconds


def space_bytes(directory: Path) -> int:
    """Return the disk space that the files below `directory` take; holes take none."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
