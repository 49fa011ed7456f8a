"""Every limit one below, at, and one above: checked before anything is written, told with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stress.traffic import together

import shardkv

MOST = 32 << 20
Call = Callable[[Any, bytes], Any]


def batched(store: shardkv.Store, key: bytes, value: bytes | None) -> int | None:
    with store.batch() as batch:
        batch.put(b"companion", b"")
        batch.delete(key) if value is None else batch.put(key, value)
    return batch.seqno


def cut(store: shardkv.Store, read: Callable[[shardkv.Snapshot], Any]) -> Any:
    with store.snapshot() as snapshot:
        return read(snapshot)


WRITES_OF_KEY: dict[str, Call] = {
    "put": lambda store, key: store.put(key, b"v"),
    "put to memory": lambda store, key: store.put(key, b"v", ack="memory"),
    "submit": lambda store, key: store.submit(key, b"v"),
    "set": lambda store, key: store.__setitem__(key, b"v"),
    "put_many of a dict": lambda store, key: store.put_many({b"companion": b"", key: b"v"}),
    "put_many of pairs": lambda store, key: store.put_many([(b"companion", b""), (key, b"v")]),
    "update": lambda store, key: store.update({key: b"v"}),
    "setdefault": lambda store, key: store.setdefault(key, b"v"),
    "batch": lambda store, key: batched(store, key, b"v"),
    "delete in a batch": lambda store, key: batched(store, key, None),
    "delete": lambda store, key: store.delete(key),
    "del": lambda store, key: store.__delitem__(key),
    "pop": lambda store, key: store.pop(key),
    "delete_many": lambda store, key: store.delete_many([key]),
}
READS_OF_KEY: dict[str, Call] = {
    "shard_of": lambda store, key: store.shard_of(key),
    "get": lambda store, key: store.get(key),
    "[]": lambda store, key: store[key],
    "in": lambda store, key: key in store,
    "get_many": lambda store, key: store.get_many([b"companion", key]),
    "get of a snapshot": lambda store, key: cut(store, lambda s: s.get(key)),
    "[] of a snapshot": lambda store, key: cut(store, lambda s: s[key]),
    "in a snapshot": lambda store, key: cut(store, lambda s: key in s),
    "get_many of a snapshot": lambda store, key: cut(store, lambda s: s.get_many([key])),
}
BOUNDS: dict[str, Call] = {
    "start": lambda store, key: list(store.scan(key)),
    "stop": lambda store, key: list(store.scan(stop=key)),
    "prefix": lambda store, key: list(store.scan(prefix=key)),
    "start of a snapshot": lambda store, key: cut(store, lambda s: list(s.scan(key))),
}
OF_KEY = {**WRITES_OF_KEY, **READS_OF_KEY}

WRITES_OF_VALUE: dict[str, Call] = {
    "put": lambda store, value: store.put(b"k", value, ack="memory"),
    "submit": lambda store, value: store.submit(b"k", value),
    "put_many of a dict": lambda store, value: store.put_many({b"k": value}, ack="memory"),
    "put_many of pairs": lambda store, value: store.put_many([(b"k", value)], ack="memory"),
    "batch": lambda store, value: batched(store, b"k", value),
}


@pytest.mark.parametrize("call", OF_KEY)
def test_an_empty_key_is_invalid(store: shardkv.Store, call: str) -> None:
    with pytest.raises(shardkv.InvalidError, match=r"empty.*1\.\.500"):
        OF_KEY[call](store, b"")
    assert store.stats().seqno == 0


@pytest.mark.parametrize("call", {**OF_KEY, **BOUNDS})
@pytest.mark.parametrize("size", [501, 511, 65_536])
def test_a_key_of_more_than_500_bytes_is_too_long(
    store: shardkv.Store, call: str, size: int
) -> None:
    with pytest.raises(shardkv.KeyTooLongError, match=f"{size} bytes; at most 500"):
        {**OF_KEY, **BOUNDS}[call](store, b"k" * size)
    assert store.stats().seqno == 0


@pytest.mark.parametrize("fill", [b"\x00", b"k", b"\xfe"], ids=["zeros", "text", "high"])
@pytest.mark.parametrize("size", [1, 499, 500])
def test_keys_of_1_to_500_bytes_are_keys(store: shardkv.Store, size: int, fill: bytes) -> None:
    """A shard's own record has a key of zeros: no user's key may meet it."""
    key = fill * size
    for _ in range(2):
        for write in ("put", "submit", "put_many of a dict", "put_many of pairs", "batch"):
            WRITES_OF_KEY[write](store, key)
            assert store[key] == b"v"
            for read in (*READS_OF_KEY.values(), *BOUNDS.values()):
                read(store, key)
        assert list(store.scan(key, prefix=key)) == [(key, b"v")]
        store.flush()
    assert store.delete(key)
    assert key not in store
    store.flush()
    assert list(store) == [b"companion"]


@pytest.mark.parametrize("call", WRITES_OF_VALUE)
def test_a_value_of_more_than_32_mib_is_too_large(store: shardkv.Store, call: str) -> None:
    with pytest.raises(shardkv.ValueTooLargeError, match=f"{MOST + 1} bytes; at most {MOST}"):
        WRITES_OF_VALUE[call](store, bytes(MOST + 1))
    assert store.stats().seqno == 0
    assert list(store) == []


@pytest.mark.parametrize("size", [0, MOST - 1, MOST])
def test_values_of_up_to_32_mib_are_values(store: shardkv.Store, size: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    value = value[:size]
    store.put(b"k", value)
    assert store[b"k"] == value
    store.flush()
    assert store.get_many([b"k"]) == {b"k": value}
    assert dict(store.scan()) == {b"k": value}


@pytest.mark.parametrize("more", [-1, 0])
def test_a_batch_of_up_to_32_mib_is_applied(store: shardkv.Store, more: int) -> None:
    half, left = bytes(MOST // 2), bytes(MOST // 2 + more - 2)
    with store.batch() as batch:
        batch.put(b"a", half)
        batch.put(b"b", left)
        assert batch.nbytes == MOST + more
    assert store.get_many([b"a", b"b"]) == {b"a": half, b"b": left}
    assert batch.seqno == 2


def test_what_makes_a_batch_too_large_is_left_out_of_it(store: shardkv.Store) -> None:
    with store.batch() as batch:
        batch.put(b"a", bytes(MOST // 2))
        with pytest.raises(shardkv.ValueTooLargeError, match=f"{MOST + 1} bytes .*at most {MOST}"):
            batch.put(b"b", bytes(MOST // 2 - 1))
        batch.put(b"c", b"")
    assert list(store) == [b"a", b"c"]


def test_deletes_count_with_their_keys(store: shardkv.Store) -> None:
    with store.batch() as batch:
        batch.put(b"a", bytes(MOST - 3))
        with pytest.raises(shardkv.ValueTooLargeError):
            batch.delete(b"bcd")
        batch.delete(b"bc")
        assert batch.nbytes == MOST


def test_put_many_is_not_bounded_by_the_size_of_a_batch(store: shardkv.Store) -> None:
    value = bytes(3 << 20)
    assert store.put_many({b"%d" % n: value for n in range(15)}, ack="memory") == 15
    assert all(value == found for found in store.values())
    assert len(store) == 15


def test_beside_as_many_snapshots_as_can_be_open_the_store_goes_on(store: shardkv.Store) -> None:
    """They took every slot that LMDB has for readers: gets, flushes and sweeps failed for want of one."""
    keys = [b"%d" % n for n in range(100)]
    store.put_many(dict.fromkeys(keys, b"old"))
    store.flush()
    cuts = [store.snapshot() for _ in range(4096)]
    with pytest.raises(shardkv.FullError, match="4096 snapshots, scans and transactions"):
        store.snapshot()
    with pytest.raises(shardkv.FullError), store.transaction() as change:
        change.get(keys[0])
    with pytest.raises(shardkv.FullError):
        next(store.scan())
    store.put_many(dict.fromkeys(keys, b"new"), ttl=3600)
    store.flush()
    together(32, lambda n: check_all(store, keys))
    assert store.purge_expired() == 0
    assert cuts[0].get_many(keys) == dict.fromkeys(keys, b"old")
    cuts.pop().close()
    with store.snapshot() as cut:
        assert dict(cut.scan(b"0")) == dict.fromkeys(keys, b"new")


def check_all(store: shardkv.Store, keys: list[bytes]) -> None:
    assert store.get_many(keys) == dict.fromkeys(keys, b"new")
    assert len(store) in (len(keys), len(keys) + 1)
    assert all(store.get(key) == b"new" for key in keys)
    assert store.incr(b"\0counter") > 0
