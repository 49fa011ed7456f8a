"""A short look at a machine: how long its disk takes to sync, what puts cost, how fast a flush is."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import shardkv
import shardkv.aio
from shardkv.planning import PAGE, Calibration, leaf_pages
from shardkv.queueing import Moments

SYNCS, LARGE_SYNCS, LARGE = 300, 10, 1 << 20
WRITTEN_BYTES = 4 << 20
TASKS = 1000
PUT_SECONDS = 0.8
SUBMITS = 100_000
SUBMIT_BYTES = 32 << 20
LARGE_VALUE = 16 << 10
MOST_VALUE = 64 << 10  #: larger values are measured with values of this size
LOAD_BYTES, LOAD_RECORDS = 48 << 20, 250_000
FREE_BYTES = 1 << 30
SEED = 5


class NoRoom(OSError):
    """The scratch directory's disk is too full to calibrate on."""


def calibrate(directory: str | os.PathLike[str], key_bytes: int, value_bytes: int) -> Calibration:
    """Measure the machine, in a scratch directory below `directory` that is removed afterwards.

    Args:
        key_bytes, value_bytes: of the records to measure with; see MOST_VALUE.

    Raises:
        NoRoom: with less than 1 GiB free.

    Cost: a few seconds, and up to a few hundred MB on disk.
    """
    if (free := shutil.disk_usage(directory).free) < FREE_BYTES:
        raise NoRoom(
            f"calibrating needs 1 GiB free in {directory}, where there are {free >> 20} MiB"
        )
    value_bytes = min(value_bytes, MOST_VALUE)
    with tempfile.TemporaryDirectory(prefix="shardkv-plan-", dir=directory) as scratch:
        root = Path(scratch)
        times = sync_times(root / "syncs", PAGE, SYNCS)
        large = sync_times(root / "large", LARGE, LARGE_SYNCS)
        middle, large_middle = times[len(times) // 2], large[len(large) // 2]
        submit = _submit(root / "submit", key_bytes, value_bytes)
        far = _submit(root / "far", key_bytes, value_bytes + LARGE_VALUE)
        flushed = _flush(root / "flush", key_bytes, value_bytes)
        return Calibration(
            value_bytes=value_bytes,
            key_bytes=key_bytes,
            sync=_moments(times),
            sync_p99=times[int(len(times) * 0.99)],
            synced_byte=max(large_middle - middle, 1e-9) / (LARGE - PAGE),
            put=asyncio.run(_put(root / "put", key_bytes, value_bytes)),
            submit=submit,
            value_byte=max(far - submit, 0.0) / LARGE_VALUE,
            flush_page=flushed.page,
            index_bytes=flushed.index_bytes,
            log_bytes=flushed.log_bytes,
            shard_bytes=flushed.shard_bytes,
            unflushed_bytes=flushed.budget,
        )


def sync_times(path: Path, size: int, count: int) -> list[float]:
    """Write `size` bytes over written ones and sync them, `count` times; return the times, ascending."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    block = os.urandom(size)
    times = []
    try:
        os.pwrite(descriptor, bytes(WRITTEN_BYTES), 0)
        os.fsync(descriptor)
        for number in range(count):
            begin = time.perf_counter()
            os.pwrite(descriptor, block, number * size % WRITTEN_BYTES)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - begin)
    finally:
        os.close(descriptor)
    return sorted(times)


def _moments(times: Sequence[float]) -> Moments:
    count = len(times)
    return Moments(count, sum(times) / count, sum(each**2 for each in times) / count)


def records(
    count: int, key_bytes: int, value_bytes: int, seed: int
) -> Iterator[tuple[bytes, bytes]]:
    """Yield records with random keys and values."""
    chance = random.Random(seed)
    value = chance.randbytes(value_bytes)
    return ((chance.randbytes(key_bytes), value) for _ in range(count))


def _submit(path: Path, key_bytes: int, value_bytes: int) -> float:
    size = key_bytes + value_bytes
    rows = list(records(max(20, min(SUBMITS, SUBMIT_BYTES // size)), key_bytes, value_bytes, SEED))
    with shardkv.open(path) as store:
        submit = store.submit
        begin = time.perf_counter()
        for key, value in rows:
            submit(key, value)
        return (time.perf_counter() - begin) / len(rows)


async def _put(path: Path, key_bytes: int, value_bytes: int) -> float:
    """Return seconds per put of many tasks whose puts are all synced."""
    value, done, stop = random.Random(SEED).randbytes(value_bytes), 0, False
    store = await shardkv.aio.open(path)

    async def put(seed: int) -> None:
        nonlocal done
        draw: Callable[[int], bytes] = random.Random(seed).randbytes
        while not stop:
            await store.put(draw(key_bytes), value)
            done += 1

    async with store, asyncio.TaskGroup() as tasks:
        for seed in range(TASKS):
            tasks.create_task(put(seed))
        await asyncio.sleep(PUT_SECONDS / 4)
        before, begin = done, time.perf_counter()
        await asyncio.sleep(PUT_SECONDS)
        spent = (time.perf_counter() - begin) / max(1, done - before)
        stop = True
    return spent


class _Flushed(NamedTuple):
    """Seconds for each page, bytes for each record, and the budget."""

    page: float
    index_bytes: float
    log_bytes: float
    shard_bytes: float
    budget: int


def _flush(path: Path, key_bytes: int, value_bytes: int) -> _Flushed:
    """Fill, flush, fill again, flush again: the second flush meets pages that are there."""
    size = key_bytes + value_bytes
    count = max(100, min(LOAD_RECORDS, LOAD_BYTES // size))
    with shardkv.open(path) as store:
        store.put_many(records(count, key_bytes, value_bytes, SEED), ack="memory")
        store.flush()
        store.put_many(records(count, key_bytes, value_bytes, SEED + 1), ack="memory")
        store.sync()
        before = store.stats()
        begin = time.perf_counter()
        store.flush()
        spent = time.perf_counter() - begin
        after = store.stats()
    return _Flushed(
        page=spent / (leaf_pages(size, 2.0, count * size) * count),
        index_bytes=before.index_bytes / max(1, before.unflushed_records),
        log_bytes=before.log.synced_bytes / (2 * count),
        shard_bytes=sum(shard.file_bytes for shard in after.shards) / (2 * count),
        budget=before.settings.unflushed_bytes,
    )
