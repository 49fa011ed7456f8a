"""Scans that one call answers: the same rows as any scan, and nothing is held when it returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv._native import KEYS_ONLY, NO_CALLS, ONLY
from shardkv.scan import BLOCK_BYTES, FIRST_ROWS, WHOLE_ROWS

KEYS = [b"%05d" % n for n in range(1000)]
AROUND = (1, 63, 64, 65, WHOLE_ROWS - 1, WHOLE_ROWS, WHOLE_ROWS + 1, 999, 1000, 1001)


@pytest.fixture(params=["log", "shards", "both"])
def rows(request: pytest.FixtureRequest, store: shardkv.Store) -> shardkv.Store:
    store.put_many({key: b"v" + key for key in KEYS})
    if request.param != "log":
        store.flush()
    if request.param == "both":
        store.put_many({key: b"v" + key for key in KEYS[::3]})
    return store


@pytest.mark.parametrize("limit", AROUND)
def test_a_limit_is_met_whatever_block_it_ends_in(rows: shardkv.Store, limit: int) -> None:
    pairs = [(key, b"v" + key) for key in KEYS]
    with rows.snapshot() as cut:
        for source in (rows, cut):
            assert list(source.scan(limit=limit)) == pairs[:limit]
            assert list(source.scan(limit=limit, values=False)) == KEYS[:limit]
            assert list(source.scan(b"00500", limit=limit)) == pairs[500:][:limit]
            assert list(source.scan(limit=limit, reverse=True)) == pairs[::-1][:limit]


def test_what_one_call_answers_holds_nothing(rows: shardkv.Store) -> None:
    scans: list[Any] = [
        rows.scan(limit=WHOLE_ROWS),
        rows.scan(limit=1, reverse=True),
        rows.scan(prefix=b"0001"),
        rows.scan(KEYS[-FIRST_ROWS]),
        rows.scan(b"x"),
        rows.scan(b"00500", b"00500"),
    ]
    assert rows.stats().snapshots == ()
    assert [len(list(scan)) for scan in scans] == [WHOLE_ROWS, 1, 10, FIRST_ROWS, 0, 0]
    longer = rows.scan(limit=WHOLE_ROWS + 1)
    assert len(rows.stats().snapshots) == 1
    assert len(list(longer)) == WHOLE_ROWS + 1
    assert rows.stats().snapshots == ()


@pytest.mark.parametrize("reverse", [True, False])
def test_rows_too_large_for_one_call_are_of_one_cut(store: shardkv.Store, reverse: bool) -> None:
    pairs = [(b"%03d" % n, b"%d" % (n % 10) * 10_000) for n in range(100)]
    store.put_many(pairs)
    assert BLOCK_BYTES < 100 * 10_000
    scan = store.scan(limit=90, reverse=reverse)
    store.put_many([(key, b"later") for key, _ in pairs])
    store.flush()
    assert list(scan) == (pairs[::-1] if reverse else pairs)[:90]


def test_expired_and_deleted_rows_are_no_part_of_a_limit(store: shardkv.Store) -> None:
    store.put_many(dict.fromkeys(KEYS, b""))
    store.flush()
    store.delete_many(KEYS[:300])
    store.put_many(dict.fromkeys(KEYS[300:600], b""), ttl=1000)
    store._engine.shift_clock(2_000_000)
    assert list(store.scan(limit=3, values=False)) == KEYS[600:603]
    assert list(store.scan(limit=500, values=False)) == KEYS[600:]


def test_reserved_keys_are_behind_the_end(store: shardkv.Store) -> None:
    store[b"a"] = b"1"
    store.namespace("other")["key"] = 1
    assert list(store.scan(limit=10)) == [(b"a", b"1")]
    assert list(store.scan(limit=10, reverse=True)) == [(b"a", b"1")]
    assert list(store.namespace("other").scan(limit=10)) == [("key", 1)]


def test_every_bytes_like_bound_is_the_same(rows: shardkv.Store) -> None:
    for kind in (bytes, bytearray, memoryview):
        assert list(rows.scan(kind(b"00007"), kind(b"00009"), values=False)) == KEYS[7:9]
    with pytest.raises(TypeError, match="start"):
        rows.scan("00007", limit=1)  # type: ignore[arg-type]
    with pytest.raises(shardkv.KeyTooLongError, match="bound"):
        rows.scan(b"x" * 501, limit=1)


def test_scans_of_one_snapshot_take_turns(rows: shardkv.Store) -> None:
    """They share its transactions, and with them the cursor that each keeps for the next scan."""
    for _ in range(2):
        with rows.snapshot() as cut:
            long = [cut.scan(values=False), cut.scan(reverse=True, values=False)]
            for n in range(100):
                assert (next(long[0]), next(long[1])) == (KEYS[n], KEYS[-1 - n])
                assert list(cut.scan(KEYS[n], limit=2, values=False)) == KEYS[n : n + 2]
            long.pop(0)
            assert list(long[0]) == KEYS[-101::-1]
            assert list(cut.scan(values=False)) == KEYS
        rows.put(KEYS[0], b"new")
        rows.flush()


def test_a_closed_store_and_its_closed_snapshots_refuse(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "s") as store:
        store[b"a"] = b"1"
        cut = store.snapshot()
        cut.close()
        with pytest.raises(shardkv.ClosedError, match="snapshot"):
            cut.scan(limit=1)
    with pytest.raises(shardkv.ClosedError):
        store.scan(limit=1)


def test_the_door_answers_the_plain_case_alone(store: shardkv.Store) -> None:
    store.put_many({b"a": b"1", b"b": b"2"})
    calls: Any = store._engine.calls
    assert calls.scan(0, None, None, 0, 9, 1000) == ([b"a", b"1", b"b", b"2"], 0, 0)
    assert calls.scan(0, b"b", None, KEYS_ONLY, 9, 1000) == ([b"b"], 0, 0)
    assert calls.scan(0, None, None, ONLY | KEYS_ONLY, 1, 1000) == ([b"a"], 0, 0)
    assert NO_CALLS.scan(0, None, None, 0, 9, 1000) is NotImplemented
    assert calls.scan(0, bytearray(b"a"), None, 0, 9, 1000) is NotImplemented
    assert calls.scan(0, None, bytes(501), 0, 9, 1000) is NotImplemented
    assert calls.scan() is NotImplemented
    with pytest.raises(TypeError):
        calls.scan(None, None, None, 0, 9, 1000)
    with pytest.raises(OverflowError):
        calls.scan(0, None, None, 0, 1 << 70, 1000)


def test_the_end_of_what_held_the_log_gives_it_back(tmp_path: Path) -> None:
    """A scan or a snapshot that ends looks after the log only when somebody needed less of it meanwhile."""
    with shardkv.open(tmp_path / "s", shards=2, segment_bytes=(1 << 20, 1 << 20)) as store:
        for end in ("snapshot", "scan"):
            store.put_many({key: bytes(100) for key in KEYS})
            cut: Any = store.snapshot() if end == "snapshot" else store.scan()
            for _ in range(8):
                store.put_many({key: bytes(1000) for key in KEYS})
            store.flush()
            assert store.stats().log.segments > 4
            list(store.scan(limit=1))
            assert store.stats().log.segments > 4
            cut.close() if end == "snapshot" else list(cut)
            while store.stats().log.segments > 3:
                pass  # the log's loop gives them back
