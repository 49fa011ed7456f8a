"""Keys that are kept for namespaces: plain calls refuse them, plain scans and counts do not meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv import _native
from shardkv._native import DISK, NO_SNAPSHOT, RESERVED, Calls
from shardkv.scan import rows

HIDDEN = RESERVED + b"\x00\x00\x10key"
EDGES = [b"\xff", b"\xff\xff", b"\xff\xff\xff", b"\xff\xff\xff\xfe", b"\xff\xff\xff\xfe\xff"]


def fill(store: shardkv.Store) -> _native.Engine:
    """Keys around the border, on both sides."""
    inner = store._engine.reserved()
    store.put_many(dict.fromkeys([b"a", *EDGES], b"plain"))
    for key in (RESERVED, HIDDEN, RESERVED + b"\xff" * 400):
        inner.put(key, b"hidden", DISK, 1.0)
    return inner


@pytest.fixture(params=["log", "shards"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store", shards=3) as store:
        fill(store)
        if request.param == "shards":
            store.flush()
        yield store


def in_batch(store: shardkv.Store, write: Callable[[shardkv.Batch], None]) -> None:
    with store.batch() as batch:
        batch.put(b"other", b"value")
        write(batch)


CALLS: dict[str, Callable[[shardkv.Store], Any]] = {
    "get": lambda s: s.get(HIDDEN),
    "getitem": lambda s: s[HIDDEN],
    "contains": lambda s: HIDDEN in s,
    "get_many": lambda s: s.get_many([b"a", HIDDEN]),
    "put": lambda s: s.put(HIDDEN, b"x"),
    "put with ttl": lambda s: s.put(HIDDEN, b"x", ttl=5),
    "put of another kind": lambda s: s.put(bytearray(HIDDEN), b"x"),
    "submit": lambda s: s.submit(HIDDEN, b"x"),
    "put_many of a dict": lambda s: s.put_many({b"other": b"x", HIDDEN: b"x"}),
    "put_many of pairs": lambda s: s.put_many(iter([(b"other", b"x"), (HIDDEN, b"x")])),
    "put_many with ttl": lambda s: s.put_many({b"other": b"x", HIDDEN: b"x"}, ttl=5),
    "delete": lambda s: s.delete(HIDDEN),
    "delitem": lambda s: s.__delitem__(HIDDEN),
    "pop": lambda s: s.pop(HIDDEN),
    "delete_many": lambda s: s.delete_many([HIDDEN]),
    "batch.put": lambda s: in_batch(s, lambda batch: batch.put(HIDDEN, b"x")),
    "batch.delete": lambda s: in_batch(s, lambda batch: batch.delete(HIDDEN)),
    "the shortest": lambda s: s.put(RESERVED, b"x"),
    "apply": lambda s: s._engine.apply(_native.pack([(HIDDEN, b"x")]), DISK, 1.0),
    "get_entry": lambda s: s.get_entry(HIDDEN),
    "add": lambda s: s.add(HIDDEN, b"x"),
    "cas": lambda s: s.cas(HIDDEN, b"x", 0),
    "incr": lambda s: s.incr(HIDDEN),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_plain_call_refuses_a_reserved_key_and_changes_nothing(
    filled: shardkv.Store, call: Callable[[shardkv.Store], Any]
) -> None:
    before = filled.stats().seqno
    with pytest.raises(shardkv.InvalidError, match=r"reserved: use store.namespace\(\)"):
        call(filled)
    assert filled.stats().seqno == before
    assert filled._engine.reserved().get(NO_SNAPSHOT, HIDDEN) == b"hidden"


def test_a_snapshot_refuses_a_reserved_key_too(filled: shardkv.Store) -> None:
    with filled.snapshot() as cut:
        for read in (
            lambda: cut.get(HIDDEN),
            lambda: HIDDEN in cut,
            lambda: cut.get_many([HIDDEN]),
        ):
            with pytest.raises(shardkv.InvalidError, match="reserved"):
                read()


def test_keys_at_the_border_are_plain(filled: shardkv.Store) -> None:
    for key in EDGES:
        assert filled[key] == b"plain"
        assert filled.put(key, b"again")


@pytest.mark.parametrize("reverse", [False, True])
def test_a_plain_scan_ends_before_the_reserved_keys(filled: shardkv.Store, reverse: bool) -> None:
    plain = sorted([b"a", *EDGES], reverse=reverse)
    from_b = [key for key in plain if key >= b"b"]
    with filled.snapshot() as cut:
        for source in (filled, cut):
            for bounds, expected in (
                ({}, plain),
                ({"start": b"b"}, from_b),
                ({"stop": RESERVED}, plain),
                ({"stop": b"\xff" * 500}, plain),
                ({"start": RESERVED}, []),
                ({"start": HIDDEN, "stop": b"\xff" * 500}, []),
                ({"prefix": b"\xff"}, from_b),
                ({"prefix": RESERVED}, []),
            ):
                found: Any = source.scan(**bounds, reverse=reverse, values=False)  # type: ignore[arg-type]
                assert list(found) == expected


def test_plain_counts_and_clear_leave_reserved_keys_alone(filled: shardkv.Store) -> None:
    assert len(filled) == 6
    fill(filled)
    assert len(filled) == 6
    filled._engine.reserved().delete(RESERVED, DISK, 1.0)
    assert len(filled) == 6
    filled.clear()
    assert len(filled) == 0
    assert not list(filled)
    assert filled._engine.reserved().get(NO_SNAPSHOT, HIDDEN) == b"hidden"


def test_counts_stay_exact_over_flushes_and_reopening(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=3) as store:
        for turn in range(4):
            inner = fill(store)
            inner.put(RESERVED + b"%d" % turn, b"hidden", DISK, 1.0)
            assert len(store) == 6
            store.flush()
            assert len(store) == 6
    with shardkv.open(tmp_path / "store") as store:
        assert len(store) == 6
        assert (
            store._engine.reserved().delete_many(_native.pack([HIDDEN, RESERVED]), DISK, 1.0) == 2
        )
        assert len(store) == 6
        store.flush()
        assert len(store) == len(list(store)) == 6


def test_an_engine_for_namespaces_meets_all_keys_in_order(filled: shardkv.Store) -> None:
    inner = filled._engine.reserved()
    for reverse in (False, True):
        found = rows(inner, NO_SNAPSHOT, (None, None), reverse=reverse, limit=None, values=False)
        keys = [b"a", *EDGES, RESERVED, HIDDEN, RESERVED + b"\xff" * 400]
        assert list(found) == sorted(keys, reverse=reverse)


def test_the_fast_door_of_a_namespace_is_open_to_reserved_keys(filled: shardkv.Store) -> None:
    inner = filled._engine.reserved()
    assert isinstance(inner.calls, Calls)
    assert inner.calls.get(HIDDEN) == b"hidden"
    assert inner.calls.put(HIDDEN, b"newer", DISK) != 0
    assert inner.calls.get(HIDDEN) == b"newer"
    assert filled._engine.calls.get(HIDDEN) is NotImplemented
    assert filled._engine.calls.put(HIDDEN, b"newest", DISK) == 0
