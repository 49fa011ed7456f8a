"""One key at a time: put, get, delete, pop, seqnos, the end."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv.registry import registry

# Everything a store does; each needs it open.
CALLS: dict[str, Callable[[shardkv.Store], Any]] = {
    "put": lambda store: store.put(b"a", b"b"),
    "put to memory": lambda store: store.put(b"a", b"b", ack="memory"),
    "submit": lambda store: store.submit(b"a", b"b"),
    "put_many": lambda store: store.put_many({b"a": b"b"}),
    "delete": lambda store: store.delete(b"a"),
    "delete_many": lambda store: store.delete_many([b"a"]),
    "pop": lambda store: store.pop(b"a", None),
    "clear": lambda store: store.clear(),
    "batch": lambda store: store.batch(),
    "sync": lambda store: store.sync(),
    "flush": lambda store: store.flush(),
    "get": lambda store: store.get(b"a"),
    "in": lambda store: b"a" in store,
    "get_many": lambda store: store.get_many([b"a"]),
    "len": len,
    "iter": iter,
    "scan": lambda store: store.scan(limit=0),
    "snapshot": lambda store: store.snapshot(),
    "stats": lambda store: store.stats(),
    "shard_of": lambda store: store.shard_of(b"a"),
}
STATES = {
    "unflushed": lambda store: None,
    "flushed": lambda store: store.flush(),
    "written over": lambda store: (store.flush(), store.put(b"key", b"value")),
}


@pytest.fixture(params=STATES)
def held(store: shardkv.Store, request: pytest.FixtureRequest) -> shardkv.Store:
    """A store that holds one pair: in the log, in a shard, or in both."""
    store.put(b"key", b"value")
    STATES[request.param](store)
    return store


def test_a_key_that_is_held_is_found(held: shardkv.Store) -> None:
    assert held.get(b"key") == b"value"
    assert held.get(b"key", b"default") == b"value"
    assert b"key" in held


def test_a_key_that_is_not_held_is_not_found(held: shardkv.Store) -> None:
    default = object()
    for key in (b"ke", b"key\0", b"kez", b"k" * 500):
        assert held.get(key) is None
        assert held.get(key, default) is default
        assert key not in held
        assert not held.delete(key)
        assert held.pop(key, default) is default
        with pytest.raises(KeyError, match=key.decode("latin-1").replace("\0", r"\\x00")):
            held.pop(key)
    assert len(held) == 1


@pytest.mark.parametrize("ack", ["memory", "disk", None])
def test_a_delete_says_whether_the_key_was_there(held: shardkv.Store, ack: Any) -> None:
    before = held.stats().seqno
    assert held.delete(b"key", ack=ack)
    assert not held.delete(b"key", ack=ack)
    assert held.stats().seqno == before + 1, "what deletes nothing writes nothing"
    assert (held.get(b"key"), len(held), list(held)) == (None, 0, [])
    held.flush()
    assert (held.get(b"key"), len(held), list(held)) == (None, 0, [])


def test_a_pop_returns_what_it_deleted(held: shardkv.Store) -> None:
    assert held.pop(b"key") == b"value"
    assert b"key" not in held


def test_the_newest_value_is_the_value(held: shardkv.Store) -> None:
    for size in (0, 1, 5, 300_000, 2):
        held.put(b"key", b"n" * size)
        assert held[b"key"] == b"n" * size
    held.flush()
    assert held[b"key"] == b"nn"


def test_an_empty_value_is_not_an_absent_one(store: shardkv.Store) -> None:
    store.put(b"empty", b"")
    for _ in range(2):
        assert store[b"empty"] == b""
        assert store.get(b"empty", b"default") == b""
        assert b"empty" in store
        assert store.get_many([b"empty"]) == {b"empty": b""}
        assert list(store.scan()) == [(b"empty", b"")]
        store.flush()
    assert store.pop(b"empty") == b""


def test_keys_and_values_are_any_bytes(store: shardkv.Store) -> None:
    pairs = {bytes([n, m]): bytes([m, n]) * n for n in range(256) for m in (0, 10, 127, 255)}
    for key, value in pairs.items():
        store.put(key, value, ack="memory")
    for _ in range(2):
        assert {key: store[key] for key in pairs} == pairs
        store.flush()


def test_each_write_has_the_next_seqno(store: shardkv.Store) -> None:
    assert store.put(b"a", b"") == 1
    assert store.put(b"a", b"", ack="memory") == 2
    assert store.submit(b"b", b"").seqno == 3
    assert store.delete(b"a")
    assert store.put_many({b"a": b"", b"b": b""}) == 6
    with store.batch() as batch:
        batch.put(b"c", b"")
        batch.delete(b"a")
    assert batch.seqno == 8
    assert store.stats().seqno == 8


def test_seqnos_go_on_after_an_opening(tmp_path: Path) -> None:
    for turn in range(4):
        store = shardkv.open(tmp_path / "store")
        assert store.put(b"a", b"%d" % turn) == turn + 1
        store.close(flush=turn % 2 == 0)


@pytest.mark.parametrize("ack", ["memory", "disk"])
def test_the_ack_of_the_store_is_the_default(tmp_path: Path, ack: Any) -> None:
    with shardkv.open(tmp_path / "store", ack=ack) as store:
        for write in (store.put, lambda key, value: store.put_many({key: value})):
            seqno = write(b"a", b"b")
            if ack == "disk":
                assert store.stats().durable_seqno == seqno
        store.put(b"a", b"b", ack="disk")
        stats = store.stats()
        assert stats.durable_seqno == stats.seqno


@pytest.mark.parametrize("ack", ["", "disc", 2, b"disk"], ids=repr)
def test_an_unknown_ack_writes_nothing(store: shardkv.Store, ack: Any) -> None:
    for write in (
        lambda: store.put(b"a", b"b", ack=ack),
        lambda: store.put_many({b"a": b"b"}, ack=ack),
        lambda: store.delete(b"a", ack=ack),
        lambda: store.delete_many([b"a"], ack=ack),
        lambda: store.batch(ack=ack),
    ):
        with pytest.raises(shardkv.InvalidError, match="ack"):
            write()
    assert store.stats().seqno == 0


# -- the end


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_store_says_so_at_every_call(tmp_path: Path, call: str) -> None:
    store = shardkv.open(tmp_path / "store")
    store.close()
    assert store.closed
    with pytest.raises(shardkv.ClosedError, match="closed"):
        CALLS[call](store)


def test_closing_twice_is_closing(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    assert not store.closed
    with store:
        store.put(b"a", b"b")
    store.close()
    store.close(flush=False)
    assert store.closed
    assert repr(store) == f"<shardkv.Store '{tmp_path / 'store'}' closed>"


@pytest.mark.parametrize("flush", [True, False])
def test_everything_appended_is_there_after_a_close(tmp_path: Path, flush: bool) -> None:
    store = shardkv.open(tmp_path / "store")
    store.put(b"disk", b"1")
    store.put(b"memory", b"2", ack="memory")
    store.submit(b"submitted", b"3")
    store.close(flush=flush)
    with shardkv.open(tmp_path / "store") as store:
        assert dict(store.items()) == {b"disk": b"1", b"memory": b"2", b"submitted": b"3"}
        assert (store.stats().replayed_records == 0) == flush


def test_an_exception_in_the_block_closes_the_store_and_goes_on(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    with pytest.raises(TypeError, match="namespace"), store:
        store.put("str", b"")  # type: ignore[arg-type]
    assert store.closed


def test_a_store_that_was_never_closed_is_complained_about(tmp_path: Path) -> None:
    def forget() -> object:
        return shardkv.open(tmp_path / "store")._shared

    with pytest.warns(ResourceWarning, match="not closed"):
        shared = forget()
    registry.release(shared, flush=False)  # what close() would have given back


def test_a_store_that_was_closed_is_not_complained_about(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shardkv.open(tmp_path / "store").close()
        gc.collect()
