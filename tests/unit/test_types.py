"""What is not bytes where bytes belong: TypeError, and nothing was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import shardkv

Call = Callable[[Any, Any], Any]
WRONG: list[Any] = ["text", "", 1, 1.5, True, None, [b"k"], {}, object()]


def batched(store: shardkv.Store, write: Callable[[shardkv.Batch], None]) -> None:
    with store.batch() as batch:
        write(batch)


AS_KEY: dict[str, Call] = {
    "put": lambda store, it: store.put(it, b""),
    "submit": lambda store, it: store.submit(it, b""),
    "set": lambda store, it: store.__setitem__(it, b""),
    "delete": lambda store, it: store.delete(it),
    "del": lambda store, it: store.__delitem__(it),
    "pop": lambda store, it: store.pop(it),
    "setdefault": lambda store, it: store.setdefault(it, b""),
    "put_many": lambda store, it: store.put_many([(b"a", b""), (it, b"")]),
    "update": lambda store, it: store.update([(it, b"")]),
    "delete_many": lambda store, it: store.delete_many([it]),
    "put in a batch": lambda store, it: batched(store, lambda batch: batch.put(it, b"")),
    "delete in a batch": lambda store, it: batched(store, lambda batch: batch.delete(it)),
    "get": lambda store, it: store.get(it),
    "[]": lambda store, it: store[it],
    "in": lambda store, it: it in store,
    "get_many": lambda store, it: store.get_many([it]),
    "shard_of": lambda store, it: store.shard_of(it),
    "get of a snapshot": lambda store, it: store.snapshot().get(it),
    "[] of a snapshot": lambda store, it: store.snapshot()[it],
    "in a snapshot": lambda store, it: it in store.snapshot(),
    "get_many of a snapshot": lambda store, it: store.snapshot().get_many([it]),
}
AS_BOUND: dict[str, Call] = {
    "start": lambda store, it: store.scan(it),
    "stop": lambda store, it: store.scan(stop=it),
    "prefix": lambda store, it: store.scan(prefix=it),
    "prefix of a snapshot": lambda store, it: store.snapshot().scan(prefix=it),
}
AS_VALUE: dict[str, Call] = {
    "put": lambda store, it: store.put(b"a", it),
    "submit": lambda store, it: store.submit(b"a", it),
    "set": lambda store, it: store.__setitem__(b"a", it),
    "setdefault": lambda store, it: store.setdefault(b"a", it),
    "put_many of a dict": lambda store, it: store.put_many({b"b": b"", b"a": it}),
    "put_many of pairs": lambda store, it: store.put_many([(b"b", b""), (b"a", it)]),
    "update": lambda store, it: store.update({b"a": it}),
    "batch": lambda store, it: batched(store, lambda batch: batch.put(b"a", it)),
}
ITEMS: list[Any] = [(b"a",), (b"a", b"b", b"c"), [], None, 1, "ab", {b"a": b"b"}]


def refused(store: shardkv.Store, call: Call, it: Any) -> str:
    with pytest.raises(TypeError) as caught:
        call(store, it)
    assert store.stats().seqno == 0
    assert list(store) == []
    return str(caught.value)


@pytest.mark.parametrize("call", AS_KEY)
def test_only_bytes_are_keys(store: shardkv.Store, call: str) -> None:
    for it in WRONG:
        told = refused(store, AS_KEY[call], it)
        assert ("namespace" in told) == isinstance(it, str), told


@pytest.mark.parametrize("call", AS_VALUE)
def test_only_bytes_are_values(store: shardkv.Store, call: str) -> None:
    for it in WRONG:
        told = refused(store, AS_VALUE[call], it)
        assert ("namespace" in told) == isinstance(it, str), told


@pytest.mark.parametrize("call", AS_BOUND)
def test_only_bytes_are_bounds(store: shardkv.Store, call: str) -> None:
    for it in WRONG:
        if it is not None:
            told = refused(store, AS_BOUND[call], it)
            assert ("namespace" in told) == isinstance(it, str), told


@pytest.mark.parametrize("limit", [1.0, "1", b"1", True, [1]], ids=repr)
def test_a_limit_is_an_int(store: shardkv.Store, limit: Any) -> None:
    refused(store, lambda store, it: store.scan(limit=it), limit)


@pytest.mark.parametrize("item", ITEMS, ids=repr)
def test_an_item_of_put_many_is_a_pair_and_named_when_it_is_not(
    store: shardkv.Store, item: Any
) -> None:
    told = refused(store, lambda store, it: store.put_many([(b"x", b"y"), it]), item)
    assert told.startswith("item 1: ")


@pytest.mark.parametrize("pairs", [None, 1, b"ab", "ab", [1, 2]], ids=repr)
def test_what_is_no_collection_of_pairs_is_refused(store: shardkv.Store, pairs: Any) -> None:
    refused(store, lambda store, it: store.put_many(it), pairs)


@pytest.mark.parametrize("keys", [None, 1, b"ab", "ab", [(b"a", b"b")]], ids=repr)
def test_what_is_no_collection_of_keys_is_refused(store: shardkv.Store, keys: Any) -> None:
    refused(store, lambda store, it: store.delete_many(it), keys)
    refused(store, lambda store, it: store.get_many(it), keys)


@pytest.mark.parametrize(
    "keys", [[b"a"], {b"a"}, (key for key in [b"a"])], ids=["list", "set", "iterator"]
)
def test_put_many_of_bare_keys_deletes_nothing(store: shardkv.Store, keys: Any) -> None:
    store.put(b"a", b"kept")
    with pytest.raises(TypeError, match="item 0"):
        store.put_many(keys)
    assert store[b"a"] == b"kept"


@pytest.mark.parametrize("it", [2**70, -(2**70), "\ud800"], ids=ascii)
def test_what_cannot_be_packed_is_of_the_wrong_type(store: shardkv.Store, it: Any) -> None:
    refused(store, AS_KEY["put_many"], it)
    refused(store, AS_KEY["delete_many"], it)


def test_all_kinds_of_bytes_are_taken_everywhere(store: shardkv.Store) -> None:
    for kind in (bytes, bytearray, memoryview):
        key, value = kind(b"key"), kind(b"value")
        store.put(key, value)
        store.submit(key, value).wait()
        store.put_many([(key, value)])
        with store.batch() as batch:
            batch.put(key, value)
            batch.delete(kind(b"none"))
        assert store.get(key) == store[key] == b"value"
        assert key in store
        assert list(store.scan(key, kind(b"kez"), prefix=kind(b"k"))) == [(b"key", b"value")]
        assert store.get_many([key]) == {b"key": b"value"}
        with store.snapshot() as cut:
            assert cut.get(key) == cut[key] == b"value"
        assert store.delete_many([key, key]) == 1


def test_a_buffer_may_change_after_the_call(store: shardkv.Store) -> None:
    key, value = bytearray(b"key"), bytearray(b"value")
    with store.batch() as batch:
        batch.put(key, value)
        store.put(b"other", value, ack="memory")
        key[0], value[0] = 0, 0
    assert dict(store.items()) == {b"key": b"value", b"other": b"value"}
