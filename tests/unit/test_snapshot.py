"""Snapshots: one cut, whatever is written and flushed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv

BEFORE = {b"%02d" % n: b"before %d" % n for n in range(30)}

CHANGES: dict[str, Callable[[shardkv.Store], Any]] = {
    "nothing": lambda store: None,
    "flush": lambda store: store.flush(),
    "put": lambda store: store.put_many(dict.fromkeys(BEFORE, b"after")),
    "put, flush": lambda store: (store.put_many(dict.fromkeys(BEFORE, b"after")), store.flush()),
    "delete": lambda store: store.delete_many(BEFORE),
    "delete, flush": lambda store: (store.delete_many(BEFORE), store.flush()),
    "new keys": lambda store: store.put_many({b"%02d+" % n: b"new" for n in range(30)}),
    "new keys, flush": lambda store: (store.put(b"00+", b"new"), store.flush()),
    "flush between": lambda store: (
        store.put(b"07", b"after"),
        store.flush(),
        store.delete(b"07"),
        store.put(b"07", b"once more"),
        store.flush(),
    ),
}
READS: dict[str, Callable[[shardkv.Snapshot], Any]] = {
    "get": lambda cut: cut.get(b"00"),
    "[]": lambda cut: cut[b"00"],
    "in": lambda cut: b"00" in cut,
    "get_many": lambda cut: cut.get_many([b"00"]),
    "scan": lambda cut: cut.scan(),
    "iter": iter,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("flushed", [True, False], ids=["of a shard", "of the log"])
def test_a_snapshot_shows_its_cut_whatever_happens(
    store: shardkv.Store, change: str, flushed: bool
) -> None:
    seqno = store.put_many(BEFORE)
    if flushed:
        store.flush()
    with store.snapshot() as cut:
        CHANGES[change](store)
        assert cut.seqno == seqno
        assert {key: cut[key] for key in BEFORE} == BEFORE
        assert cut.get_many([*BEFORE, b"none", b"00+"]) == BEFORE
        assert list(cut) == sorted(BEFORE)
        assert list(cut.scan(reverse=True)) == sorted(BEFORE.items(), reverse=True)
        assert list(cut.scan(b"05", b"07")) == [(b"05", b"before 5"), (b"06", b"before 6")]
        assert (b"00+" in cut, b"07" in cut) == (False, True)


def test_what_a_snapshot_does_not_hold_is_not_found(store: shardkv.Store) -> None:
    with store.snapshot() as cut:
        store.put(b"a", b"b")
        default = object()
        assert cut.get(b"a") is None
        assert cut.get(b"a", default) is default
        with pytest.raises(KeyError):
            cut[b"a"]
        assert list(cut.scan()) == []


def test_an_empty_value_is_in_a_snapshot(store: shardkv.Store) -> None:
    store.put(b"empty", b"")
    with store.snapshot() as cut:
        store.delete(b"empty")
        assert (cut[b"empty"], b"empty" in cut) == (b"", True)


@pytest.mark.parametrize("read", READS)
def test_a_closed_snapshot_says_so(store: shardkv.Store, read: str) -> None:
    cut = store.snapshot()
    cut.close()
    cut.close()
    with pytest.raises(shardkv.ClosedError, match="snapshot is closed"):
        READS[read](cut)
    assert repr(cut) == "<shardkv.Snapshot seqno=0 closed>"


@pytest.mark.parametrize("read", READS)
def test_a_snapshot_ends_with_its_store(tmp_path: Path, read: str) -> None:
    store = shardkv.open(tmp_path / "store")
    cut = store.snapshot()
    store.close()
    with pytest.raises(shardkv.ClosedError):
        READS[read](cut)
    cut.close()


def test_a_scan_of_a_snapshot_ends_with_it(store: shardkv.Store) -> None:
    store.put_many({b"%05d" % n: b"" for n in range(5000)})
    with store.snapshot() as cut:
        rows = cut.scan()
        assert next(rows) == (b"00000", b"")
    with pytest.raises(shardkv.ClosedError):
        list(rows)


def test_many_snapshots_each_show_their_own_cut(store: shardkv.Store) -> None:
    cuts = []
    for turn in range(40):
        store.put(b"key", b"%d" % turn)
        if turn % 3 == 0:
            store.flush()
        cuts.append(store.snapshot())
    store.delete(b"key")
    store.flush()
    assert [cut[b"key"] for cut in cuts] == [b"%d" % turn for turn in range(40)]
    assert [cut.seqno for cut in cuts] == list(range(1, 41))
    for cut in cuts:
        cut.close()
