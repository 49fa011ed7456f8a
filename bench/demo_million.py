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
from demo_show import Advance, Clock, Rate, Show

import shardkv

MILLION = 1_000_000
PREFIX = b"event/"
VALUE_BYTES = 100
THREADS = 16
#: Shares of the million, and the seconds after which the first two ways end.
ALONE, ALONE_SECONDS = 0.02, 2.0
TOGETHER, TOGETHER_SECONDS = 0.15, 6.0
BATCHED = 0.33
PER_BATCH = 1000
STEP = 500

Todo = deque[tuple[bytes, bytes]]


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
    show.say(f"A value is {VALUE_BYTES} bytes computed from its key, so that each can be checked.")
    show.say("Every rate counts until the records are on disk: the log is synced (fdatasync).")
    show.say(f"The first two end after {ALONE_SECONDS:.0f} and {TOGETHER_SECONDS:.0f} s at most.")
    with show.console.status("   computing the records"):
        todo = deque((key, event_value(key)) for key in map(event_key, range(total)))
    before = len(store)
    _alone(store, show, todo, round(total * ALONE))
    _together(store, show, todo, round(total * TOGETHER))
    _batches(store, show, todo, round(total * BATCHED))
    _submits(store, show, todo)
    stats = store.stats()
    added, durable = len(store) - before, stats.durable_seqno
    show.check(added == total, f"the store counts {added:,} records more, {total:,} were written")
    show.check(
        durable == stats.seqno,
        f"it says that {durable:,} of all its {stats.seqno:,} writes are durable",
    )
    _flush(store, show)
    return total


def _timed(store: shardkv.Store, show: Show, what: str, write: Callable[[], int]) -> None:
    """Time one way of writing and say how it went."""
    clock, before = Clock(), store.stats().log.syncs
    records = write()
    rate = Rate(what, records, clock.seconds, store.stats().log.syncs - before)
    show.rates.append(rate)
    show.say(f"{what:<32}{records:>9,} in {rate.seconds:5.2f} s{rate.per_second:>11,.0f}/s")


def _alone(store: shardkv.Store, show: Show, todo: Todo, most: int) -> None:
    """One thread, one put at a time: a sync for each record."""
    keep = len(todo) - most

    def write() -> int:
        with show.progress("put, 1 thread", most) as advance:
            return _drain(store, todo, keep, ALONE_SECONDS, advance)

    _timed(store, show, 'put(ack="disk"), 1 thread', write)


def _together(store: shardkv.Store, show: Show, todo: Todo, most: int) -> None:
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

    _timed(store, show, f'put(ack="disk"), {THREADS} threads', write)


def _drain(store: shardkv.Store, todo: Todo, keep: int, seconds: float, advance: Advance) -> int:
    """Put records one by one until `keep` or fewer are left or time is over; return how many."""
    clock, done = Clock(), 0
    while len(todo) > keep and clock.seconds < seconds:
        key, value = todo.popleft()
        store.put(key, value, ack="disk")
        done += 1
        if done % STEP == 0:
            advance(STEP)
    return done


def _batches(store: shardkv.Store, show: Show, todo: Todo, most: int) -> None:
    """Atomic batches, each on disk before the next begins."""
    batches = [_take(todo, PER_BATCH) for _ in range(max(1, most // PER_BATCH))]

    def write() -> int:
        with show.progress("put_many", len(batches) * PER_BATCH) as advance:
            for batch in batches:
                store.put_many(batch, ack="disk")
                advance(len(batch))
        return sum(map(len, batches))

    _timed(store, show, f'put_many() of {PER_BATCH:,}, ack="disk"', write)


def _submits(store: shardkv.Store, show: Show, todo: Todo) -> None:
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

    _timed(store, show, "submit() each, then sync()", write)


def _take(todo: Todo, most: int) -> Pairs:
    return [todo.popleft() for _ in range(min(most, len(todo)))]


def _flush(store: shardkv.Store, show: Show) -> None:
    """Say what else writing costs: the records move from the log into the shards."""
    waiting, clock = store.stats().unflushed_records, Clock()
    with show.console.status("   flushing"):
        store.flush()
    show.say(
        f"flush() of {waiting:,} records from the log into the shards: {clock.seconds:.1f} s "
        "(durable before)"
    )
