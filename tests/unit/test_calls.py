"""The second door into C answers as the first does, and leaves everything unusual to it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

import shardkv
from shardkv._native import NO_CALLS, TicketBase


class Own(bytes):
    """Bytes, but not exactly."""


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Own])
def test_every_bytes_like_key_and_value_is_the_same_record(
    store: shardkv.Store, kind: type
) -> None:
    store.put(kind(b"a"), kind(b"1"))
    store.submit(kind(b"b"), kind(b"2")).wait()
    store.put_many([(kind(b"c"), kind(b"3"))])
    assert [store.get(kind(key)) for key in (b"a", b"b", b"c")] == [b"1", b"2", b"3"]


def test_a_value_larger_than_the_workspace_comes_back_whole(store: shardkv.Store) -> None:
    large = bytes(range(256)) * (3 << 12)
    store[b"large"] = large
    assert store.get(b"large") == large
    assert store.get(b"none") is None
    assert store.get(b"large") == large


def test_put_many_holds_each_object_as_long_as_it_needs_it(store: shardkv.Store) -> None:
    key, value = b"k" * 40, b"v" * 40
    before = sys.getrefcount(key), sys.getrefcount(value)
    for _ in range(10):
        store.put_many([(key, value)] * 3)
        store.put_many({key: value})
        with pytest.raises(TypeError):
            store.put_many([(key, value), (key, "text")])  # type: ignore[list-item]
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before


def test_a_list_that_changes_meanwhile_is_written_as_it_was_at_some_moment(
    store: shardkv.Store,
) -> None:
    pairs = [(b"%d" % i, b"x") for i in range(1000)]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            pairs[:] = [(key, value + b"x") for key, value in pairs[:1000]]
            if len(pairs[0][1]) > 50:
                pairs[:] = [(key, b"x") for key, _ in pairs]

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(200):
            store.put_many(pairs)
    finally:
        stop.set()
        changing.join()
    assert len(store) == 1000
    assert all(set(value) == {ord("x")} for value in store.values())


def test_a_pair_that_is_no_pair_writes_nothing(store: shardkv.Store) -> None:
    for bad in ([(b"a", b"1"), (b"b",)], [(b"a", b"1"), b"b"], [(b"a", b"1"), (b"", b"2")]):
        with pytest.raises((TypeError, ValueError)):
            store.put_many(bad)  # type: ignore[arg-type]
    assert store.get(b"a") is None


def test_a_closed_door_sends_everything_the_other_way() -> None:
    assert NO_CALLS.get(b"k") is NotImplemented
    assert NO_CALLS.put(b"k", b"v", 2) == 0
    assert NO_CALLS.put_many([(b"k", b"v")], 2) == 0
    assert NO_CALLS.submit(b"k", b"v", TicketBase, object()) is None


def test_wrong_counts_of_arguments_are_no_crash(store: shardkv.Store) -> None:
    calls = store._engine.calls
    assert calls.put(b"k", b"v") == 0  # type: ignore[call-arg]
    assert calls.put_many([]) == 0  # type: ignore[call-arg]
    assert calls.submit(b"k") is None  # type: ignore[call-arg]
    assert len(store) == 0


def test_a_handle_that_was_closed_refuses_though_another_keeps_the_store_open(
    tmp_path: Path,
) -> None:
    with shardkv.open(tmp_path / "s") as kept:
        other = shardkv.open(tmp_path / "s")
        other.close()
        for call in (
            lambda: other.get(b"k"),
            lambda: other.put(b"k", b"v"),
            lambda: other.submit(b"k", b"v"),
        ):
            with pytest.raises(shardkv.ClosedError):
                call()
        assert len(kept) == 0
