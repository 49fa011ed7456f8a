"""Chapter 3: a process is killed while it writes; what it was told is stored has to be there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from demo_show import Clock, Show
from demo_victim import KEY_BYTES, PREFIX, REPORT_BYTES, THREADS, key_of

import shardkv

VICTIM = Path(__file__).with_name("demo_victim.py")
ACKNOWLEDGED = 30_000
SECONDS = 5.0  #: a slow disk acknowledges less
CHUNK_BYTES = 1 << 16

Acknowledged = dict[bytes, bytes]


def kill_and_reopen(path: Path, show: Show, scale: float, before: int) -> shardkv.Store:
    """Kill the victim at work on the closed store, open it again, check; return the open store."""
    show.chapter("3. A process is killed in mid-write: what was acknowledged must be there")
    show.say(
        f'{THREADS} threads of a child process run put(key, random bytes, ack="disk"). When a put returns,'
    )
    show.say("the child sends that key and value through a pipe to this process, the witness.")
    heard, status = _witness(path, show, max(1, round(ACKNOWLEDGED * scale)))
    acknowledged = reports(heard)
    show.check(
        status == -signal.SIGKILL,
        f"the child was still writing when SIGKILL ended it, after {len(acknowledged):,} reports",
    )
    clock = Clock()
    store = shardkv.open(path, create=False)
    milliseconds, replayed = clock.seconds * 1e3, store.stats().replayed_records
    show.say(
        f"opened again in {milliseconds:.0f} ms, with {replayed:,} records replayed from the log"
    )
    _judge(store, show, acknowledged, before)
    show.say("(SIGKILL loses what a process has in memory. tests/crash also simulates power cuts.)")
    return store


def _witness(path: Path, show: Show, wanted: int) -> tuple[bytes, int]:
    """Kill the victim when it has reported enough; return all its reports and its exit status."""
    child = subprocess.Popen([sys.executable, str(VICTIM), str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    pipe, heard, killed = child.stdout.fileno(), bytearray(), False
    try:
        with show.progress("acknowledged", wanted) as advance:
            chunk = os.read(pipe, CHUNK_BYTES)
            clock = Clock()
            while chunk:
                heard += chunk
                advance(len(chunk) // REPORT_BYTES)
                enough = len(heard) >= wanted * REPORT_BYTES or clock.seconds > SECONDS
                if enough and not killed:
                    killed = True
                    child.kill()
                chunk = os.read(pipe, CHUNK_BYTES)
    finally:
        child.kill()
        child.stdout.close()
        status = child.wait()
    return bytes(heard), status


def reports(heard: bytes) -> Acknowledged:
    """Return the records that the victim reported."""
    whole = (heard[at : at + REPORT_BYTES] for at in range(0, len(heard), REPORT_BYTES))
    return {report[:KEY_BYTES]: report[KEY_BYTES:] for report in whole}


def _judge(store: shardkv.Store, show: Show, acknowledged: Acknowledged, before: int) -> None:
    there = dict(store.scan(prefix=PREFIX))
    kept = sum(there.get(key) == value for key, value in acknowledged.items())
    show.check(
        kept == len(acknowledged) > 0,
        f"{kept:,} of {len(acknowledged):,} acknowledged records are there, "
        "with the value that the witness has",
    )
    extra = len(there.keys() - acknowledged.keys())
    show.check(
        extra <= THREADS,
        f"stored too, but not reported yet: {extra} (at most one for each thread)",
    )
    show.check(
        without_gap(there), "each thread's records are there from its first to its last, no gap"
    )
    others = len(store) - len(there)
    show.check(others == before, f"{others:,} of the {before:,} records from before are there")


def without_gap(keys: Collection[bytes]) -> bool:
    """Say whether the keys of every thread are its first ones."""
    counts = [
        sum(key.startswith(key_of(thread, 0)[:-8]) for key in keys) for thread in range(THREADS)
    ]
    expected = {
        key_of(thread, number) for thread in range(THREADS) for number in range(counts[thread])
    }
    return expected == set(keys)
