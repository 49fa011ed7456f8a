"""What a number means depends on the machine: its class, its sync time, its memory accounting."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path

PROBE_SYNCS = 60
PROBE_PAGE = 4096
PROBE_FILE_BYTES = 256 << 10
PACKAGES = ("shardkv", "plyvel", "rocksdict", "lmdb", "diskcache", "redis", "hiredis", "cffi")


def machine_class(directory: Path) -> dict[str, object]:
    """Describe the machine without naming it: cores, kernel, file system, versions, load."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "file_system": file_system(directory),
        "python": platform.python_version(),
        "versions": {**_versions(), "sqlite": sqlite3.sqlite_version},
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if server := redis_server():
        found["redis-server"] = server
    return found


def redis_server() -> str | None:
    """Return the version of the installed redis-server, or None."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return told.partition("v=")[2].split()[0]


def file_system(directory: Path) -> str:
    """Return the type of the file system that holds `directory`."""
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0]
    return "unknown"


def sync_times(directory: Path) -> dict[str, float]:
    """Measure write + fdatasync of 4 KiB over written bytes and at a growing end: median, in us."""
    path = directory / "sync-probe"
    page = os.urandom(PROBE_PAGE)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, bytes(PROBE_FILE_BYTES), 0)
        os.fsync(descriptor)
        return {
            "overwrite_us": _sync_time(descriptor, page, 0),
            "append_us": _sync_time(descriptor, page, PROBE_FILE_BYTES),
        }
    finally:
        os.close(descriptor)
        path.unlink()


def _sync_time(descriptor: int, page: bytes, at: int) -> float:
    times = []
    for number in range(PROBE_SYNCS):
        begin = time.perf_counter()
        os.pwrite(descriptor, page, at + number * PROBE_PAGE)
        os.fdatasync(descriptor)
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def anonymous_bytes() -> int:
    """Return the resident memory that no file backs: heap and stacks, not mapped files."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no Anonymous line in smaps_rollup")


def forget_cached(directory: Path) -> None:
    """Sync every file below `directory` and drop it from the page cache, as a reboot would."""
    for path in directory.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
