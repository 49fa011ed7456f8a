"""Chapter 2: a million durable writes, in the four ways a program can ask for them.

The ways that wait for every record end after some seconds, so that a slow disk does not hold the
demo up; the others write what is left.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from demo_input import Pairs
from demo_show import Clock, Rate, Show

import shardkv

MILLION = 1_000_000
PREFIX = b"event/"
VALUE_BYTES = 100
THREADS = 16
ONE_BY_ONE, ONE_BY_ONE_SECONDS = (
    0.02,
    2.0,
)  #: share of the million, and the time after which it ends
TOGETHER, TOGETHER_SECONDS = 0.15, 6.0
BATCHED = 0.33
PER_BATCH = 1000
STEP = 500

Advance = Callable[[int], None]


def event_key(number: int) -> bytes:
    """Return the key of the n-th record."""
    return PREFIX + b"%08d" % number


def event_value(key: bytes) -> bytes:
    """Return the value that belongs to a key: it can be checked later and cannot be compressed."""
    return hashlib.shake_128(key).digest(VALUE_BYTES)


def write_million(store: shardkv.Store, show: Show, scale: float) -> int:
    """Write the million (times `scale`) and return how many it were."""
    total = round(MILLION * scale)
    show.chapter(f"2. {total:,} durable writes, each record with a key of its own")
    show.say(
        f"A value is {VALUE_BYTES} bytes computed from its key, so that every one can be checked."
    )
    show.say("A rate counts a record only when it is on disk: the log file was synced (fdatasync).")
    with show.console.status("   computing the records"):
        todo = deque((key, event_value(key)) for key in map(event_key, range(total)))
    before = len(store)
    _alone(store, show, todo, round(total * ONE_BY_ONE))
    _together(store, show, todo, round(total * TOGETHER))
    _batches(store, show, todo, round(total * BATCHED))
    _submits(store, show, todo)
    stats = store.stats()
    show.check(len(store) == before + total, f"the store counts {total:,} records more")
    show.check(
        stats.durable_seqno == stats.seqno,
        f"the store says that all of its {stats.seqno:,} writes so far are durable",
    )
    return total


def _told(store: shardkv.Store, show: Show, what: str, write: Callable[[], int]) -> None:
    """Time one way of writing and say how it went."""
    clock, before = Clock(), store.stats().log.syncs
    records = write()
    seconds = clock.seconds
    rate = show.rate(Rate(what, records, seconds, store.stats().log.syncs - before))
    show.say(f"{what:<48}{records:>9,} in {seconds:5.2f} s{rate.per_second:>12,.0f}/s")


def _alone(store: shardkv.Store, show: Show, todo: deque[tuple[bytes, bytes]], most: int) -> None:
    """One thread, one put at a time: a sync for each record."""

    def write() -> int:
        with show.progress("put, 1 thread", most) as advance:
            return _drain(store, todo, len(todo) - most, ONE_BY_ONE_SECONDS, advance)

    _told(store, show, 'put(key, value, ack="disk"), 1 thread', write)


def _together(
    store: shardkv.Store, show: Show, todo: deque[tuple[bytes, bytes]], most: int
) -> None:
    """Many threads: a put returns when its record is on disk; who waits together shares a sync."""
    keep = len(todo) - most

    def write() -> int:
        with (
            show.progress(f"put, {THREADS} threads", most) as advance,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            jobs = [
                pool.submit(_drain, store, todo, keep, TOGETHER_SECONDS, advance)
                for _ in range(THREADS)
            ]
            return sum(job.result() for job in jobs)

    _told(store, show, f'put(key, value, ack="disk"), {THREADS} threads', write)


def _drain(
    store: shardkv.Store,
    todo: deque[tuple[bytes, bytes]],
    keep: int,
    seconds: float,
    advance: Advance,
) -> int:
    """Put records one by one until `keep` are left or the time is over; return how many."""
    clock, done = Clock(), 0
    while len(todo) > keep and clock.seconds < seconds:
        key, value = todo.popleft()
        store.put(key, value, ack="disk")
        done += 1
        if done % STEP == 0:
            advance(STEP)
    return done


def _batches(store: shardkv.Store, show: Show, todo: deque[tuple[bytes, bytes]], most: int) -> None:
    """Atomic batches, each on disk before the next begins."""
    batches = [_take(todo, PER_BATCH) for _ in range(most // PER_BATCH)]

    def write() -> int:
        with show.progress("put_many", len(batches) * PER_BATCH) as advance:
            for batch in batches:
                store.put_many(batch, ack="disk")
                advance(len(batch))
        return sum(map(len, batches))

    _told(store, show, f'put_many({PER_BATCH:,} records, ack="disk"), 1 thread', write)


def _submits(store: shardkv.Store, show: Show, todo: deque[tuple[bytes, bytes]]) -> None:
    """Writes that do not wait, then one wait for all of them; the wait is part of the time."""
    rest = _take(todo, len(todo))

    def write() -> int:
        with show.progress("submit", len(rest)) as advance:
            for number, (key, value) in enumerate(rest, 1):
                store.submit(key, value)
                if number % STEP == 0:
                    advance(STEP)
            store.sync()
        return len(rest)

    _told(store, show, "submit(key, value) for each, then one sync()", write)


def _take(todo: deque[tuple[bytes, bytes]], most: int) -> Pairs:
    return [todo.popleft() for _ in range(min(most, len(todo)))]
