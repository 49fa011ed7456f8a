"""The store as a state machine beside a dict: every rule does the same to both."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import shardkv
from shardkv._native import NO_SNAPSHOT, RESERVED
from shardkv.scan import rows

# Small enough that a few values roll a segment, recycle one, and make the flusher run by itself.
SMALL: dict[str, Any] = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}
SIZES = (0, 1, 7, 100, 116, 3000, 30_000, 70_000, 300_000)
SNAPSHOTS_MOST = 4
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no power is cut here
HOUR = 3600

keys = some.one_of(  # none of them reserved
    some.binary(min_size=1, max_size=2),
    some.sampled_from([b"a", b"aa", b"ab", b"b", b"\x00", b"\xff", b"\xff\xff", b"k" * 500]),
    some.integers(0, 40).map(lambda n: b"key%02d" % n),
)
# Ends between two full hours: the time that a test takes does not matter.
ttls = some.one_of(some.none(), some.integers(0, 5).map(lambda hours: (hours + 0.5) * HOUR))
values = some.builds(
    lambda size, fill: bytes([fill]) * size, some.sampled_from(SIZES), some.integers(0, 255)
)
short_values = some.binary(max_size=20)
acks = some.sampled_from(["memory", "disk", None])
bounds = some.one_of(some.none(), some.just(b""), keys)


class Aging(dict[bytes, bytes]):
    """A dict whose keys may expire, and that remembers which expired ones a store may still hold."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: dict[bytes, float] = {}
        self.over: set[bytes] = set()
        self.versions: dict[bytes, int] = {}  # as far as they were told

    def write(self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None) -> None:
        """Put pairs that live for a time, or for ever."""
        for key, value in pairs:
            self[key] = value
            if ttl is not None:
                self.ends[key] = self.now + ttl

    def __setitem__(self, key: bytes, value: bytes) -> None:
        super().__setitem__(key, value)
        self.ends.pop(key, None)
        self.versions.pop(key, None)
        self.over.discard(key)

    def update(self, pairs: Any) -> None:  # type: ignore[override]
        self.write(pairs.items() if isinstance(pairs, dict) else pairs, None)

    def branch(self) -> Aging:
        """Return a copy that goes its own way."""
        made = Aging()
        dict.update(made, self)
        made.now, made.ends, made.over = self.now, dict(self.ends), set(self.over)
        made.versions = dict(self.versions)
        return made

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        for key, end in [*self.ends.items()]:
            if end <= self.now:
                del self.ends[key]
                if self.pop(key, None) is not None:
                    self.over.add(key)


class Stop(RuntimeError):
    """What a block raises to give its batch up."""


def rows_of(
    model: dict[bytes, bytes],
    start: bytes | None,
    stop: bytes | None,
    prefix: bytes | None,
    reverse: bool,
) -> list[tuple[bytes, bytes]]:
    """Return what a scan of a sorted dict would be."""
    return [
        (key, value)
        for key, value in sorted(model.items(), reverse=reverse)
        if (start is None or key >= start)
        and (stop is None or key < stop)
        and (prefix is None or key.startswith(prefix))
    ]


class StoreBesideDict(RuleBasedStateMachine):
    """One store, one dict, and snapshots with copies of the dict."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="shardkv-model-", dir=PLACE))
        self.model = Aging()
        self.hidden: dict[bytes, bytes] = {}  # reserved keys, which the store of bytes never shows
        self.cuts: list[tuple[shardkv.Snapshot, dict[bytes, bytes]]] = []
        self.scans: list[tuple[Iterator[Any], list[Any]]] = []
        self.left = ExitStack()

    @initialize(shards=some.sampled_from([1, 2, 5]))
    def begin(self, shards: int) -> None:
        self.store = shardkv.open(self.place / "store", shards=shards, **SMALL)

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                self.reopen(flush=False)
                self.compare_all()
                self.store.close()
        finally:
            shutil.rmtree(self.place)

    # -- writes

    @rule(key=keys, value=values, ack=acks, ttl=ttls)
    def put(self, key: bytes, value: bytes, ack: Any, ttl: Any) -> None:
        before = self.store.stats().seqno
        assert self.store.put(key, value, ack=ack, ttl=ttl) > before
        self.model.write([(key, value)], ttl)

    @rule(key=keys, value=values, wait=some.booleans(), ttl=ttls)
    def submit(self, key: bytes, value: bytes, wait: bool, ttl: Any) -> None:
        ticket = self.store.submit(key, value, ttl=ttl)
        self.model.write([(key, value)], ttl)
        if wait:
            assert ticket.wait() == ticket.seqno
            assert ticket.done()

    @rule(key=keys, ack=acks)
    def delete(self, key: bytes, ack: Any) -> None:
        assert self.store.delete(key, ack=ack) == (self.model.pop(key, None) is not None)

    @rule(key=keys)
    def pop(self, key: bytes) -> None:
        assert self.store.pop(key, None) == self.model.pop(key, None)

    @rule(pairs=some.lists(some.tuples(keys, short_values), max_size=60), ack=acks, ttl=ttls)
    def put_many(self, pairs: list[tuple[bytes, bytes]], ack: Any, ttl: Any) -> None:
        self.store.put_many(pairs, ack=ack, ttl=ttl)
        self.model.write(pairs, ttl)

    @rule(first=some.integers(0, 9), count=some.integers(1, 3000), ttl=ttls)
    def put_thousands(self, first: int, count: int, ttl: Any) -> None:
        pairs = {b"many%05d" % n: b"%d of %d" % (n, count) for n in range(first, first + count)}
        self.store.put_many(pairs, ack="memory", ttl=ttl)
        self.model.write(pairs.items(), ttl)

    @rule(gone=some.lists(keys, max_size=30), ack=acks)
    def delete_many(self, gone: list[bytes], ack: Any) -> None:
        here = set(gone) & set(self.model)
        assert self.store.delete_many(gone, ack=ack) == len(here)
        for key in here:
            del self.model[key]

    @rule(modulus=some.integers(2, 5))
    def delete_thousands(self, modulus: int) -> None:
        gone = [key for key in self.model if key.startswith(b"many") and int(key[4:]) % modulus]
        assert self.store.delete_many(gone, ack="memory") == len(gone)
        for key in gone:
            del self.model[key]

    @rule(
        puts=some.lists(some.tuples(keys, short_values, ttls), max_size=20),
        deletes=some.lists(keys, max_size=5),
        ack=acks,
        fails=some.booleans(),
    )
    def batch(
        self,
        puts: list[tuple[bytes, bytes, Any]],
        deletes: list[bytes],
        ack: Any,
        fails: bool,
    ) -> None:
        after = self.model.branch()
        with pytest.raises(Stop) if fails else ExitStack(), self.store.batch(ack=ack) as batch:
            for key, value, ttl in puts:
                batch.put(key, value, ttl=ttl)
                after.write([(key, value)], ttl)
            for key in deletes:
                batch.delete(key)
                after.pop(key, None)
            if fails:
                raise Stop
        if not fails:
            self.model = after

    @rule(pairs=some.lists(some.tuples(keys, short_values), max_size=20), kept=some.booleans())
    def put_reserved(self, pairs: list[tuple[bytes, bytes]], kept: bool) -> None:
        found = {RESERVED + key[:400]: value for key, value in pairs}
        inner, ack = self.store._engine.reserved(), shardkv._native.DISK
        if kept:
            inner.apply(shardkv._native.pack(found), ack, 30.0)
            self.hidden.update(found)
        else:
            here = [key for key in found if self.hidden.pop(key, None) is not None]
            assert inner.delete_many(shardkv._native.pack([*found]), ack, 30.0) == len(here)

    @rule()
    def compare_reserved(self) -> None:
        found = rows(
            self.store._engine.reserved(),
            NO_SNAPSHOT,
            (None, None),
            reverse=False,
            limit=None,
            values=True,
        )
        assert list(found) == sorted((self.model | self.hidden).items())

    # -- time

    @rule(hours=some.integers(1, 5), back=some.booleans())
    def let_time_pass(self, hours: int, back: bool) -> None:
        self.model.forward(HOUR * hours)
        self.store._engine.shift_clock(round(self.model.now) * 1000)
        if back:  # the machine's clock may be set back at any time
            assert self.store._engine.clock_ms()
            self.store._engine.shift_clock(-10 * HOUR * 1000)

    @rule()
    def purge_expired(self) -> None:
        assert self.store.purge_expired() <= len(self.model.over)
        assert len(self.store) == len(self.model)
        self.model.over.clear()

    # -- life

    @rule()
    def flush(self) -> None:
        self.store.flush()
        assert self.store.stats().unflushed_records <= len(self.model.over)  # removed since

    @rule()
    def sync(self) -> None:
        self.store.sync()
        stats = self.store.stats()
        assert stats.durable_seqno == stats.seqno

    @rule(flush=some.booleans())
    def reopen(self, flush: bool) -> None:
        self.store.close(flush=flush)
        self.cuts.clear()
        self.scans.clear()
        self.store = shardkv.open(self.place / "store", **SMALL)

    # -- reads

    @rule(
        start=bounds, stop=bounds, prefix=bounds, reverse=some.booleans(), limit=some.integers(0, 9)
    )
    def scan(self, limit: int, **range_: Any) -> None:
        expected = rows_of(self.model, **range_)
        assert list(self.store.scan(**range_)) == expected
        assert list(self.store.scan(**range_, limit=limit)) == expected[:limit]
        assert list(self.store.scan(**range_, values=False)) == [key for key, _ in expected]

    @rule()
    def count(self) -> None:
        live = len(self.model)
        assert live <= len(self.store) <= live + len(self.model.over)

    @rule()
    def compare_all(self) -> None:
        self.count()
        assert dict(self.store.items()) == self.model
        assert list(self.store) == sorted(self.model)
        assert list(reversed(self.store)) == sorted(self.model, reverse=True)

    @precondition(lambda self: len(self.scans) < SNAPSHOTS_MOST)
    @rule(reverse=some.booleans())
    def begin_scan(self, reverse: bool) -> None:
        expected = rows_of(self.model, None, None, None, reverse)
        self.scans.append((self.store.scan(reverse=reverse), expected))

    @precondition(lambda self: self.scans)
    @rule()
    def end_scan(self) -> None:
        rows, expected = self.scans.pop()
        assert list(rows) == expected

    # -- snapshots

    @precondition(lambda self: len(self.cuts) < SNAPSHOTS_MOST)
    @rule()
    def take_snapshot(self) -> None:
        self.cuts.append((self.store.snapshot(), dict(self.model)))

    @precondition(lambda self: self.cuts)
    @rule(which=some.integers(0), key=keys, reverse=some.booleans(), start=bounds, stop=bounds)
    def read_snapshot(self, which: int, key: bytes, reverse: bool, **range_: Any) -> None:
        cut, copy = self.cuts[which % len(self.cuts)]
        assert cut.get(key) == copy.get(key)
        assert (key in cut) == (key in copy)
        assert cut.get_many([key, *copy]) == copy
        expected = rows_of(copy, prefix=None, reverse=reverse, **range_)
        assert list(cut.scan(reverse=reverse, **range_)) == expected

    @precondition(lambda self: self.cuts)
    @rule(which=some.integers(0))
    def close_snapshot(self, which: int) -> None:
        cut, copy = self.cuts.pop(which % len(self.cuts))
        assert list(cut.scan()) == sorted(copy.items())
        cut.close()

    # -- always

    @invariant()
    def every_key_reads_as_in_the_dict(self) -> None:
        if not hasattr(self, "store"):
            return
        asked = [*self.model, b"absent", b"key00", b"a"]
        assert self.store.get_many(asked) == self.model
        for key in (b"a", b"key00"):
            assert self.store.get(key) == self.model.get(key)
            assert (key in self.store) == (key in self.model)
