"""Scans: bounds and their combinations, blocks, what an open iterator sees."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv._native import Engine
from shardkv.scan import bounds, prefix_stop

KEYS = [b"", b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"b", b"ba", b"\xff", b"\xff\xff"]
STORED = KEYS[1:]


@pytest.fixture
def rows(store: shardkv.Store) -> shardkv.Store:
    store.put_many({key: b"v" + key for key in STORED})
    return store


@pytest.mark.parametrize(
    ("prefix", "stop"),
    [
        (b"", None),
        (b"a", b"b"),
        (b"ab", b"ac"),
        (b"a\xff", b"b"),
        (b"a\xff\xff", b"b"),
        (b"a\xfe", b"a\xff"),
        (b"\xff", None),
        (b"\xff\xff", None),
        (b"\x00", b"\x01"),
        (b"\xff\x00", b"\xff\x01"),
    ],
)
def test_the_first_key_behind_a_prefix(prefix: bytes, stop: bytes | None) -> None:
    assert prefix_stop(prefix) == stop


def test_bounds_are_the_intersection_of_range_and_prefix() -> None:
    assert bounds(None, None, None) == (None, None)
    assert bounds(b"", b"", None) == (None, b"")
    assert bounds(b"a", b"z", b"m") == (b"m", b"n")
    assert bounds(b"mm", b"mz", b"m") == (b"mm", b"mz")
    assert bounds(None, b"mz", b"m") == (b"m", b"mz")
    assert bounds(b"x", None, b"m") == (b"x", b"n")
    assert bounds(b"a", None, b"\xff") == (b"\xff", None)


@pytest.mark.parametrize("flushed", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_every_range_is_a_slice_of_the_sorted_keys(
    rows: shardkv.Store, flushed: bool, reverse: bool
) -> None:
    if flushed:
        rows.flush()
    for start in (None, *KEYS):
        for stop in (None, *KEYS):
            expected = [
                (key, b"v" + key)
                for key in sorted(STORED, reverse=reverse)
                if (start is None or key >= start) and (stop is None or key < stop)
            ]
            assert list(rows.scan(start, stop, reverse=reverse)) == expected, (start, stop)
            keys = list(rows.scan(start, stop, reverse=reverse, values=False))
            assert keys == [key for key, _ in expected]


@pytest.mark.parametrize("prefix", [*KEYS, b"c", b"aa", b"\xff\x00", b"\xff" * 500])
def test_a_prefix_takes_the_keys_that_begin_with_it(rows: shardkv.Store, prefix: bytes) -> None:
    expected = [key for key in STORED if key.startswith(prefix)]
    assert list(rows.scan(prefix=prefix, values=False)) == expected
    assert list(rows.scan(prefix=prefix, values=False, reverse=True)) == expected[::-1]


@pytest.mark.parametrize("limit", [0, 1, 3, 8, 9, 10**30])
def test_a_limit_is_the_most_rows(rows: shardkv.Store, limit: int) -> None:
    assert list(rows.scan(limit=limit, values=False)) == STORED[:limit]
    assert list(rows.scan(limit=limit, reverse=True, values=False)) == STORED[::-1][:limit]
    assert list(rows.scan(prefix=b"a", limit=limit, values=False)) == STORED[:4][:limit]


@pytest.mark.parametrize("limit", [-1, -(10**30)])
def test_a_limit_below_zero_is_invalid(rows: shardkv.Store, limit: int) -> None:
    """It once meant no limit."""
    with pytest.raises(shardkv.InvalidError, match=f"limit is {limit}"):
        rows.scan(limit=limit)
    with rows.snapshot() as cut, pytest.raises(shardkv.InvalidError, match="limit"):
        cut.scan(limit=limit)


def test_a_scan_begins_when_it_is_asked_for(rows: shardkv.Store) -> None:
    here = rows.scan(values=False)
    rows.put(b"aa", b"")
    rows.delete(b"b")
    rows.flush()
    assert list(here) == STORED


def test_rows_of_many_blocks_come_whole_and_once(store: shardkv.Store) -> None:
    """A block ends after 64, 128, ... rows or 256 KiB; large values make blocks of one row."""
    sizes = (0, 10, 1000, 100_000, 300_000, 1_000_000)
    pairs = {b"%06d" % n: b"x" * (sizes[n % 6] if n % 100 < 6 else 8) for n in range(3000)}
    store.put_many(pairs, ack="memory")
    for flush in (False, True):
        if flush:
            store.flush()
        assert list(store.scan()) == sorted(pairs.items())
        assert list(store.scan(reverse=True)) == sorted(pairs.items(), reverse=True)
        for limit in (63, 64, 65, 191, 192, 193, 2999, 3000, 3001):
            assert list(store.scan(limit=limit, values=False)) == sorted(pairs)[:limit]


def test_deleted_keys_leave_no_row(store: shardkv.Store) -> None:
    store.put_many({b"%04d" % n: b"v" for n in range(1000)})
    store.flush()
    store.delete_many([b"%04d" % n for n in range(1000) if n % 7])
    left = [b"%04d" % n for n in range(0, 1000, 7)]
    for _ in range(2):
        assert list(store) == left
        assert list(reversed(store)) == left[::-1]
        store.flush()


@pytest.mark.parametrize("rows_read", [0, 1, 100])
def test_an_open_scan_ends_with_its_store(tmp_path: Path, rows_read: int) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store.put_many({b"%05d" % n: b"" for n in range(5000)})
        scan = store.scan()
        assert [next(scan) for _ in range(rows_read)] == [
            (b"%05d" % n, b"") for n in range(rows_read)
        ]
    with pytest.raises(shardkv.ClosedError):
        list(scan)


def test_an_iterator_that_is_left_lets_go_of_its_cut(store: shardkv.Store) -> None:
    store.put_many({b"%05d" % n: b"" for n in range(5000)})
    scans: list[Any] = [store.scan() for _ in range(3)]
    for scan in scans:
        next(scan)
    assert len(store.stats().snapshots) == 3
    del scan
    scans.clear()
    assert store.stats().snapshots == ()


def test_two_threads_in_one_scan_are_told(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ended: what the one was reading from was freed when the other one was refused."""
    next_rows, inside, over = Engine.next_rows, threading.Event(), threading.Event()
    told: list[BaseException] = []

    def slow(*args: Any) -> Any:
        inside.set()
        over.wait()
        return next_rows(*args)

    def read() -> None:
        try:
            list(rows)
        except shardkv.InvalidError as error:
            told.append(error)

    store.put_many([(b"%04d" % n, b"v") for n in range(1000)])
    rows = store.scan()
    assert [next(rows)[0] for _ in range(64)][-1] == b"0063"
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "next_rows", slow)
        thread = threading.Thread(target=read)
        thread.start()
        inside.wait()
        with pytest.raises(shardkv.InvalidError, match="two threads"):
            next(rows)
        over.set()
        thread.join()
    assert len(told) == 1
