"""The store as a MutableMapping[bytes, bytes]."""

from __future__ import annotations

from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import shardkv

PAIRS = {b"b": b"2", b"a": b"1", b"c": b"3", b"\xff": b""}


@pytest.fixture
def full(store: shardkv.Store) -> shardkv.Store:
    store.update(PAIRS)
    return store


def test_a_store_is_a_mutable_mapping_and_equals_a_dict(full: shardkv.Store) -> None:
    assert isinstance(full, MutableMapping)
    assert full == PAIRS
    assert full == PAIRS
    assert full != {**PAIRS, b"d": b""}
    assert dict(full) == PAIRS
    assert bool(full)
    full.clear()
    assert full == {}
    assert not full


def test_a_store_is_no_key_of_a_dict(full: shardkv.Store) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(full)


def test_keys_values_and_items_come_in_key_order(full: shardkv.Store) -> None:
    assert list(full) == list(full.keys()) == [b"a", b"b", b"c", b"\xff"]
    assert list(reversed(full)) == [b"\xff", b"c", b"b", b"a"]
    assert list(full.values()) == [b"1", b"2", b"3", b""]
    assert list(full.items()) == sorted(PAIRS.items())


def test_the_views_look_at_the_store_as_it_is(full: shardkv.Store) -> None:
    keys, values, items = full.keys(), full.values(), full.items()
    del full[b"a"]
    full[b"d"] = b"4"
    assert len(keys) == len(values) == len(items) == 4
    assert (b"a" in keys, b"d" in keys) == (False, True)
    assert (b"1" in values, b"4" in values) == (False, True)
    assert ((b"b", b"2") in items, (b"b", b"3") in items) == (True, False)
    assert keys & {b"a", b"b"} == {b"b"}
    assert (b"d", b"4") in set(items)


def test_item_access_is_put_get_and_delete(full: shardkv.Store) -> None:
    full[b"a"] = b"new"
    assert full[b"a"] == b"new"
    del full[b"a"]
    for access in (lambda: full[b"a"], lambda: full.__delitem__(b"a"), lambda: full.pop(b"a")):
        with pytest.raises(KeyError) as caught:
            access()
        assert caught.value.args == (b"a",)


def test_the_rest_of_a_mapping(full: shardkv.Store) -> None:
    assert full.setdefault(b"a", b"new") == b"1"
    assert full.setdefault(b"new", b"new") == b"new"
    assert full.pop(b"a") == b"1"
    assert full.pop(b"a", None) is None
    assert full.pop(b"a", default=b"d") == b"d"
    assert full.popitem() == (b"b", b"2")
    full.clear()
    with pytest.raises(KeyError):
        full.popitem()


@pytest.mark.parametrize("typed", [False, True], ids=["store", "namespace"])
def test_popitem_gives_each_pair_to_one_thread(store: shardkv.Store, typed: bool) -> None:
    """Two that met at the first key got KeyError from a store that was not empty, or deleted what the other had put."""
    taken_from: MutableMapping[Any, Any] = store.namespace("typed") if typed else store
    pairs = {b"%d" % n: b"" for n in range(160)}
    taken_from.update(pairs)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: taken_from.popitem(), pairs))
    assert sorted(taken) == sorted(pairs.items())
    with pytest.raises(KeyError, match="empty"):
        taken_from.popitem()


@pytest.mark.parametrize("given", [PAIRS, list(PAIRS.items()), iter(PAIRS.items())], ids=type)
def test_update_takes_mappings_and_pairs(store: shardkv.Store, given: Any) -> None:
    store.update(given)
    assert store == PAIRS


def test_update_takes_another_store(full: shardkv.Store, tmp_path: Any) -> None:
    with shardkv.open(tmp_path / "other") as other:
        other.update(full)
        assert other == full
    full.update()
    assert full == PAIRS


def test_update_has_no_keywords(full: shardkv.Store) -> None:
    with pytest.raises(TypeError, match="bytes"):
        full.update(a=b"1")
    with pytest.raises(TypeError):
        full.update({}, {})


@pytest.mark.parametrize("flushed", [True, False])
def test_the_length_is_exact(store: shardkv.Store, flushed: bool) -> None:
    model: dict[bytes, bytes] = {}
    for turn in range(300):
        key = b"%d" % (turn * 7 % 50)
        if turn % 3 == 2:
            assert store.delete(key) == (model.pop(key, None) is not None)
        else:
            store.put(key, b"", ack="memory")
            model[key] = b""
        if flushed and turn % 40 == 0:
            store.flush()
        assert len(store) == len(model)
