"""The same machine with what reads and writes in one step: versions, conditions, numbers, transactions."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import strategies as some
from hypothesis.stateful import invariant, rule
from model.machine import HOUR, StoreBesideDict, acks, bounds, keys, rows_of, short_values, ttls

import shardkv

I64 = range(-(1 << 63), 1 << 63)
numbers = some.one_of(
    some.integers(-5, 5),
    some.sampled_from([I64[0], I64[-1], 1 << 62]),
)


def number_in(value: bytes) -> int | None:
    """Return what incr takes a value for."""
    if not value.removeprefix(b"-").isdigit() or b"%d" % int(value) != value:
        return None
    return int(value) if int(value) in I64 else None


class AtomicStoreBesideDict(StoreBesideDict):
    """Every version that was told stays that of its key until the key is written again."""

    def expected(self, key: bytes, right: bool) -> int:
        """Return the version of a key, or another one."""
        entry = self.store.get_entry(key)
        version = entry.version if entry else 0
        return version if right else version + 1

    def new_version(self, key: bytes, before: int) -> int:
        """Return the version of a key written since; in the background expired records are removed meanwhile."""
        version = self.expected(key, True)
        assert before < version <= self.store.stats().seqno
        return version

    def wrote(self, key: bytes, value: bytes, version: int, ttl: Any = None) -> None:
        self.model.write([(key, value)], ttl)
        self.model.versions[key] = version

    @rule(key=keys)
    def get_entry(self, key: bytes) -> None:
        entry = self.store.get_entry(key)
        if key not in self.model:
            assert entry is None
            return
        assert entry is not None
        assert entry.value == self.model[key]
        assert (entry.expires_at is not None) == (key in self.model.ends)
        assert 0 < entry.version <= self.store.stats().seqno
        assert self.model.versions.setdefault(key, entry.version) == entry.version

    @rule(key=keys, value=short_values, ttl=ttls, ack=acks)
    def add(self, key: bytes, value: bytes, ttl: Any, ack: Any) -> None:
        absent, before = key not in self.model, self.store.stats().seqno
        assert self.store.add(key, value, ttl=ttl, ack=ack) is absent
        if absent:
            self.wrote(key, value, self.new_version(key, before), ttl)

    @rule(key=keys, value=short_values, right=some.booleans(), ttl=ttls)
    def cas(self, key: bytes, value: bytes, right: bool, ttl: Any) -> None:
        before = self.store.stats().seqno
        assert self.store.cas(key, value, self.expected(key, right), ttl=ttl) is right
        if right:
            self.wrote(key, value, self.new_version(key, before), ttl)

    @rule(key=keys, value=short_values, right=some.booleans())
    def put_if_version(self, key: bytes, value: bytes, right: bool) -> None:
        version = self.expected(key, right)
        if right:
            self.wrote(key, value, self.store.put(key, value, if_version=version))
            return
        with pytest.raises(shardkv.ConflictError) as conflict:
            self.store.put(key, value, if_version=version)
        assert conflict.value.version == self.expected(key, True)

    @rule(key=keys, delta=numbers, default=numbers)
    def incr(self, key: bytes, delta: int, default: int) -> None:
        before = number_in(self.model[key]) if key in self.model else default
        if before is None or before + delta not in I64:
            with pytest.raises(shardkv.InvalidError):
                self.store.incr(key, delta, default)
            return
        seqno = self.store.stats().seqno
        assert self.store.incr(key, delta, default) == before + delta
        end = self.model.ends.get(key)
        self.wrote(key, b"%d" % (before + delta), self.new_version(key, seqno))
        if end is not None:  # its expiry stays
            self.model.ends[key] = end

    @rule(key=keys, hours=some.integers(0, 5))
    def touch(self, key: bytes, hours: int) -> None:
        ttl = (hours + 0.5) * HOUR
        before = self.store.stats().seqno
        assert self.store.touch(key, ttl) == (key in self.model)
        if key in self.model:
            self.wrote(key, self.model[key], self.new_version(key, before), ttl)

    @rule(key=keys)
    def persist(self, key: bytes) -> None:
        assert self.store.persist(key) == (key in self.model)
        if key in self.model:
            self.model.write([(key, self.model[key])], None)
            assert self.store.ttl(key) is None

    @rule(
        reads=some.lists(keys, max_size=4),
        limits=some.one_of(some.none(), some.tuples(bounds, bounds)),
        writes=some.lists(some.tuples(keys, some.one_of(some.none(), short_values)), max_size=4),
        meddled=some.one_of(some.none(), keys),
    )
    def transact(
        self,
        reads: list[bytes],
        limits: tuple[bytes | None, bytes | None] | None,
        writes: list[tuple[bytes, bytes | None]],
        meddled: bytes | None,
    ) -> None:
        """Somebody else writes one key before the commit: a conflict if it was read or lies in a scanned range."""
        touched = meddled in reads or (
            limits is not None
            and meddled is not None
            and bool(rows_of({meddled: b""}, *limits, None, False))
        )
        after = self.model.branch()
        with pytest.raises(shardkv.ConflictError) if touched and writes else nullcontext():
            with self.store.transaction() as t:
                for key in reads:
                    assert t.get(key) == self.model.get(key)
                if limits is not None:
                    expected = rows_of(self.model, *limits, None, False)
                    assert list(t.scan(*limits)) == expected
                for key, value in writes:
                    if value is None:
                        t.delete(key)
                        after.pop(key, None)
                    else:
                        t.put(key, value)
                        after[key] = value
                    assert t.get(key) == value
                if meddled is None:
                    assert dict(t.scan()) == after
                else:
                    self.wrote(meddled, b"meddled", self.store.put(meddled, b"meddled"))
        if writes and not touched:
            self.merge(dict(writes))

    def merge(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value

    @invariant()
    def versions_are_as_they_were_told(self) -> None:
        if not hasattr(self, "store"):
            return
        for key in [key for key in self.model.versions if key in self.model][:10]:
            entry = self.store.get_entry(key)
            assert entry is not None
            assert entry.version == self.model.versions[key]
