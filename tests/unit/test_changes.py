"""The change feed: what was written, in order, once it is durable; and clear words when that cannot be had."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv import Change

SMALL: dict[str, Any] = {
    "shards": 2,
    "segment_bytes": (65536, 65536),
    "unflushed_bytes": 1 << 20,
}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "small", retain_log_bytes=300_000, **SMALL) as store:
        yield store


def outgrow(store: shardkv.Store) -> None:
    """Write and flush until the oldest records are gone."""
    while store.stats().log.oldest_seqno < 20:
        for n in range(50):
            store.put(b"%d" % n, bytes(5000), ack="memory")
        store.flush()


# -- what is shown


def test_puts_and_deletes_are_told_in_order(store: shardkv.Store) -> None:
    store.put(b"a", b"1")
    store.put(b"b", b"")
    store.delete(b"a")
    store.put(b"a", b"2", ttl=1000)
    assert store.delete(b"none") is False
    first, second, third, fourth = store.changes()
    assert first == Change(1, b"a", b"1", None)
    assert second == Change(2, b"b", b"", None)
    assert third == Change(3, b"a", None, None)
    assert (fourth.seqno, fourth.key, fourth.value) == (4, b"a", b"2")
    assert abs(fourth.expires_at - time.time() - 1000) < 60


def test_a_change_is_frozen_and_small() -> None:
    change = Change(1, b"a", b"1", None)
    with pytest.raises(AttributeError):
        change.value = b"2"  # type: ignore[misc]
    assert not hasattr(change, "__dict__")


def test_since_is_the_last_one_that_is_known(store: shardkv.Store) -> None:
    seqnos = [store.put(b"%d" % n, b"") for n in range(300)]
    for since in (0, 1, 2, 150, 299, 300):
        assert [change.seqno for change in store.changes(since=since)] == seqnos[since:]


def test_a_batch_is_whole_and_without_a_gap(store: shardkv.Store) -> None:
    with store.batch() as batch:
        for n in range(100):
            batch.put(b"%d" % n, b"first")
    with store.batch() as batch:
        for n in range(100):
            batch.delete(b"%d" % n)
    found = list(store.changes())
    assert {change.key for change in found[:100]} == {b"%d" % n for n in range(100)}
    assert {change.value for change in found[:100]} == {b"first"}
    assert {change.value for change in found[100:]} == {None}
    assert [change.seqno for change in found] == list(range(1, 201))


def test_only_keys_with_the_prefix_are_shown(store: shardkv.Store) -> None:
    for n in range(1000):
        store.put(b"%03d" % n, b"", ack="memory")
    assert [change.key for change in store.changes(prefix=b"12")] == [
        b"12%d" % n for n in range(10)
    ]
    assert list(store.changes(prefix=b"none")) == []
    assert len(list(store.changes(prefix=b""))) == 1000
    assert [change.key for change in store.changes(prefix=bytearray(b"999"))] == [b"999"]


def test_what_was_appended_before_the_call_is_shown_and_nothing_later(
    store: shardkv.Store,
) -> None:
    for n in range(100):
        store.submit(b"%d" % n, b"")
    changes = store.changes()
    store.put(b"later", b"")
    assert [change.key for change in changes] == [b"%d" % n for n in range(100)]


def test_flushing_takes_nothing_from_a_feed_while_the_segment_stays(store: shardkv.Store) -> None:
    store.put(b"a", b"1")
    store.flush()
    assert [change.key for change in store.changes()] == [b"a"]


# -- how far back


def test_a_log_that_is_gone_says_where_to_go_on(small: shardkv.Store) -> None:
    outgrow(small)
    with pytest.raises(shardkv.LogGoneError, match="no longer in the log") as caught:
        small.changes()
    rest = list(small.changes(since=caught.value.seqno))
    assert rest[0].seqno == caught.value.seqno + 1 == small.stats().log.oldest_seqno
    assert [change.seqno for change in rest] == list(range(rest[0].seqno, rest[-1].seqno + 1))
    assert rest[-1].seqno == small.stats().seqno


def test_a_slow_reader_is_told_and_can_go_on(small: shardkv.Store) -> None:
    for n in range(50):
        small.put(b"%d" % n, bytes(10_000), ack="memory")
    slow = small.changes()
    watch = small.watch(since=0, timeout=60)
    assert next(slow).seqno == next(watch).seqno == 1
    outgrow(small)
    for reader in (slow, watch):
        with pytest.raises(shardkv.LogGoneError) as caught:
            list(reader)
        assert next(small.changes(since=caught.value.seqno)).seqno == caught.value.seqno + 1
    watch.close()


def test_what_is_retained_is_there_after_reopening(tmp_path: Path) -> None:
    """A file that was cut on its way to be retained met a reader that knew its old size: damage, it said."""
    with shardkv.open(tmp_path / "s", retain_log_bytes=1 << 20, **SMALL) as store:
        for n in range(40):
            store.put(b"%d" % n, b"%d" % n * 100)
    with shardkv.open(tmp_path / "s", retain_log_bytes=1 << 20, **SMALL) as store:
        store.put(b"more", b"")
        assert [change.seqno for change in store.changes()] == list(range(1, 42))
        assert [change.value for change in store.changes(since=39)] == [b"39" * 100, b""]


def test_without_a_budget_a_closed_store_starts_anew(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "s", shards=2) as store:
        store.put(b"a", b"1")
    with shardkv.open(tmp_path / "s") as store:
        while store.stats().log.oldest_seqno == 1:  # the log loop gives it back
            threading.Event().wait(0.01)
        with pytest.raises(shardkv.LogGoneError) as caught:
            store.changes()
        assert caught.value.seqno == 1
        assert list(store.changes(since=1)) == []


def test_damage_to_a_retained_segment_is_told_when_a_reader_gets_there(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "s", retain_log_bytes=1 << 20, **SMALL) as store:
        for n in range(40):
            store.put(b"%d" % n, b"%d" % n * 1000)
    for path in sorted((tmp_path / "s/log").glob("*.log")):
        with path.open("r+b") as file:
            at = file.read().find(b"13" * 1000)
            if at >= 0:
                file.seek(at + 700)
                file.write(b"!")
    with shardkv.open(tmp_path / "s", retain_log_bytes=1 << 20, **SMALL) as store:
        assert store[b"13"] == b"13" * 1000
        changes, seen = store.changes(), []
        with pytest.raises(shardkv.CorruptionError, match="damaged") as caught:
            seen += [next(changes).seqno for _ in range(100)]
        assert (caught.value.seqno, caught.value.file[:4]) == (14, "log/")
        assert caught.value.offset > 0
        assert [change.seqno for change in store.changes(since=14)][-1] == 40


# -- watching


def test_a_watch_begins_now_and_goes_on(store: shardkv.Store) -> None:
    store.put(b"before", b"")
    with store.watch(timeout=60) as watch:
        assert watch.seqno == 1
        for n in range(500):
            store.put(b"%d" % n, b"")
            change = next(watch)
            assert (change.seqno, change.key) == (n + 2, b"%d" % n)
            assert watch.seqno == n + 2


def test_a_watch_can_begin_in_the_past(store: shardkv.Store) -> None:
    for n in range(100):
        store.put(b"%d" % n, b"", ack="memory")
    store.sync()
    with store.watch(b"9", since=10, timeout=60) as watch:
        assert [next(watch).key for _ in range(10)] == [b"%d" % n for n in range(90, 100)]
        with pytest.raises(TimeoutError):
            watch.get(timeout=0)
        assert watch.seqno == 100
        store.put(b"9z", b"")
        assert watch.get().key == b"9z"


def test_a_watch_waits_no_longer_than_it_is_told(store: shardkv.Store) -> None:
    with store.watch(timeout=0.05) as watch:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                next(watch)
            assert 0.02 < time.monotonic() - began < 60
        store.put(b"a", b"1")
        assert next(watch).key == b"a"


def test_a_waiting_watch_is_woken_by_a_write(store: shardkv.Store) -> None:
    with store.watch() as watch:
        found: list[Change] = []
        thread = threading.Thread(target=lambda: found.extend(itertools.islice(watch, 3)))
        thread.start()
        for key in (b"a", b"b", b"c"):
            store.put(key, b"", ack="memory")
        thread.join(60)
        assert [change.key for change in found] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("way", ["watch", "store"])
def test_closing_ends_a_watch_that_waits(tmp_path: Path, way: str) -> None:
    store = shardkv.open(tmp_path / "store", shards=1)
    watch = store.watch()
    found: list[Change] = []
    waits = threading.Event()

    def follow() -> None:
        for change in watch:
            found.append(change)
            waits.set()

    thread = threading.Thread(target=follow)
    thread.start()
    store.put(b"a", b"1")
    assert waits.wait(60)
    (watch if way == "watch" else store).close()
    thread.join(60)
    assert not thread.is_alive()
    assert [change.key for change in found] == [b"a"]
    with pytest.raises(shardkv.ClosedError):
        watch.get()
    assert list(watch) == []
    assert watch.seqno == 1
    watch.close()
    store.close()


def test_a_watch_ends_with_the_store_that_made_it(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as other:
        store = shardkv.open(tmp_path / "store")
        watch = store.watch()
        store.close()
        other.put(b"a", b"1")
        assert list(watch) == []


def test_readers_of_one_watch_share_its_changes(store: shardkv.Store) -> None:
    parts: list[list[int]] = [[] for _ in range(4)]
    with store.watch(timeout=60) as watch:

        def read(part: list[int]) -> None:
            while not part or part[-1] < 400:
                change = watch.get()
                if change.key == b"stop":
                    return
                part.append(change.seqno)

        threads = [threading.Thread(target=read, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for n in range(400):
            store.put(b"%d" % n, b"", ack="memory")
        for _ in threads:
            store.put(b"stop", b"")
        for thread in threads:
            thread.join(60)
    assert sorted(seqno for part in parts for seqno in part) == list(range(1, 401))
    assert all(part == sorted(part) for part in parts)


def test_a_poisoned_store_ends_its_feeds_with_the_reason(tmp_path: Path) -> None:
    from unit.test_registry import break_log

    store = shardkv.open(tmp_path / "store")
    store.put(b"kept", b"1")
    watch = store.watch(since=0)
    assert next(watch).key == b"kept"
    break_log(tmp_path / "store")
    with pytest.raises(shardkv.PoisonedError):
        store.put(b"unknown", b"2")
    with pytest.raises(shardkv.PoisonedError):
        next(watch)
    changes = store.changes()
    assert next(changes).key == b"kept"
    with pytest.raises(shardkv.PoisonedError):
        next(changes)
    with pytest.raises(shardkv.PoisonedError):
        store.close()


# -- bad input


@pytest.mark.parametrize("since", [True, 1.0, "1", b"1", [1]])
def test_a_since_of_the_wrong_type_is_refused(store: shardkv.Store, since: Any) -> None:
    with pytest.raises(TypeError, match="since"):
        store.changes(since=since)
    with pytest.raises(TypeError, match="since"):
        store.watch(since=since)


@pytest.mark.parametrize("since", [-1, 4, 1 << 56, 1 << 64, 10**30])
def test_a_since_that_never_was_is_refused(store: shardkv.Store, since: int) -> None:
    for n in range(3):
        store.put(b"%d" % n, b"")
    with pytest.raises(shardkv.InvalidError, match="since"):
        store.changes(since=since)
    with pytest.raises(shardkv.InvalidError, match="since"):
        store.watch(since=since)


@pytest.mark.parametrize(
    ("prefix", "error"),
    [
        ("a", TypeError),
        (1, TypeError),
        (None, TypeError),
        (b"a" * 501, shardkv.KeyTooLongError),
        (b"\xff\xff\xff\xff", shardkv.InvalidError),
        (b"\xff\xff\xff\xff1", shardkv.InvalidError),
    ],
)
def test_a_bad_prefix_is_refused(store: shardkv.Store, prefix: Any, error: type) -> None:
    with pytest.raises(error):
        store.changes(prefix=prefix)
    with pytest.raises(error):
        store.watch(prefix)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (True, TypeError),
        ("1", TypeError),
        (-1, shardkv.InvalidError),
        (float("nan"), shardkv.InvalidError),
    ],
)
def test_a_bad_timeout_is_refused(store: shardkv.Store, timeout: Any, error: type) -> None:
    with pytest.raises(error, match="timeout"):
        store.watch(timeout=timeout)
    with store.watch() as watch, pytest.raises(error, match="timeout"):
        watch.get(timeout=timeout)


def test_a_closed_store_has_no_feeds(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    store.put(b"a", b"1")
    changes = store.changes()
    store.close()
    for call in (store.changes, store.watch, lambda: next(changes)):
        with pytest.raises(shardkv.ClosedError):
            call()


# -- reserved keys


def test_reserved_keys_are_shown_to_those_who_may_meet_them_alone(store: shardkv.Store) -> None:
    from shardkv.bulk import put_many
    from shardkv.changes import unpack_changes

    engine = store._engine.reserved()
    put_many(engine, {b"\xff\xff\xff\xff1": b"own"}, store._level(None), 1.0, 0)
    store.put(b"\xff\xff\xff", b"public")
    assert [change.key for change in store.changes(prefix=b"\xff")] == [b"\xff\xff\xff"]
    block, seqno = engine.next_changes(engine.open_feed(0, b"\xff\xff\xff\xff"), 1 << 20)
    assert [change.value for change in unpack_changes(block or [])] == [b"own"]
    assert seqno == 2
