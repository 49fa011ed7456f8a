"""Records that live for a time: the ttl they are given, the clock they are judged by."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv import _native
from shardkv.expiry import TTL_MAX, ttl_ms

YEARS_10 = 10 * 365 * 86400
SLACK_MS = 1000  # two clocks are read one after the other


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(None, 0), (1, 1000), (0.5, 500), (0.0001, 1), (5e-324, 1), (TTL_MAX, TTL_MAX * 1000)],
)
def test_a_ttl_is_whole_milliseconds_and_never_none_of_them(ttl: Any, expected: int) -> None:
    assert ttl_ms(ttl) == expected


WRONG_RANGE = [0, 0.0, -1, -0.001, float("nan"), float("inf"), TTL_MAX + 1, 1e300, 10**400]
WRONG_TYPE = [True, False, "5", b"5", Decimal(5), [5], (), 5j]


@pytest.mark.parametrize("ttl", WRONG_RANGE, ids=str)
def test_a_ttl_out_of_range_is_refused_and_nothing_is_written(
    store: shardkv.Store, ttl: float
) -> None:
    for write in writes(store, ttl):
        with pytest.raises(shardkv.InvalidError, match="ttl is"):
            write()
    assert store.stats().seqno == 0


@pytest.mark.parametrize("ttl", WRONG_TYPE, ids=str)
def test_a_ttl_that_is_no_number_is_refused_and_nothing_is_written(
    store: shardkv.Store, ttl: Any
) -> None:
    for write in writes(store, ttl):
        with pytest.raises(TypeError, match="ttl must be a number of seconds"):
            write()
    assert store.stats().seqno == 0


def writes(store: shardkv.Store, ttl: Any) -> list[Any]:
    def batch() -> None:
        with store.batch() as batch:
            batch.put(b"other", b"value")
            batch.put(b"key", b"value", ttl=ttl)

    return [
        lambda: store.put(b"key", b"value", ttl=ttl),
        lambda: store.submit(b"key", b"value", ttl=ttl),
        lambda: store.put_many({b"key": b"value"}, ttl=ttl),
        batch,
    ]


def test_the_engine_checks_a_ttl_too(store: shardkv.Store) -> None:
    engine = store._engine
    most = TTL_MAX * 1000
    for call in (
        lambda: engine.put(b"key", b"value", 2, 1.0, most + 1),
        lambda: engine.put(b"key", b"value", 2, 1.0, 2**64 - 1),
        lambda: engine.apply(_native.pack([(b"key", b"value")]), 2, 1.0, most + 1),
        lambda: engine.apply(_native.pack([(b"key", b"value", most + 1)]), 2, 1.0),
    ):
        with pytest.raises(shardkv.InvalidError, match="ttl"):
            call()
    with pytest.raises(TypeError, match="item 1: the ttl is not a number"):
        engine.apply(_native.pack([b"key", (b"key", b"value", b"1")]), 2, 1.0)
    assert store.stats().seqno == 0


def test_a_pair_of_put_many_has_no_ttl_of_its_own(store: shardkv.Store) -> None:
    """A third number would be milliseconds for the engine, and nobody had said so."""
    with pytest.raises(TypeError, match="item 0"):
        store.put_many([(b"key", b"value", 60)])  # type: ignore[list-item]
    assert store.stats().seqno == 0


def test_a_shift_of_the_clock_has_a_range(store: shardkv.Store) -> None:
    for shift in (TTL_MAX * 1000 + 1, -TTL_MAX * 1000 - 1):
        with pytest.raises(shardkv.InvalidError, match="shift"):
            store._engine.shift_clock(shift)


def test_the_clock_survives_reopening_on_a_machine_whose_clock_was_set_back(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        least = store._engine.clock_ms() + YEARS_10 * 1000 - SLACK_MS
        store._engine.shift_clock(YEARS_10 * 1000)
        assert store._engine.clock_ms() >= least
    for _ in range(2):  # the second time nothing but the side file knows
        with shardkv.open(tmp_path / "store") as store:
            assert store._engine.clock_ms() >= least
            store._engine.shift_clock(-YEARS_10 * 1000)
            assert store._engine.clock_ms() >= least


# -- expired is absent, wherever one looks and wherever the record lies


def shift(store: shardkv.Store, seconds: float) -> None:
    """From now on the machine's clock is so far from what it says."""
    store._engine.shift_clock(round(seconds * 1000))


@pytest.fixture(params=["log", "shards", "sealed and log"])
def aged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[shardkv.Store]:
    """A store with one record that stays and two that expire after an hour; then they lie where they lie."""
    with shardkv.open(tmp_path / "store", shards=3) as store:
        store.put(b"gone", b"an older one, without expiry")
        if request.param == "sealed and log":
            store.flush()
        store.put(b"stays", b"here")
        store.put(b"gone", b"brief", ttl=3600)
        store.put(b"other", b"brief", ttl=3600)
        if request.param == "shards":
            store.flush()
        yield store


def test_a_record_is_there_until_it_expires(aged: shardkv.Store) -> None:
    shift(aged, 3600 - 60)
    assert aged.get(b"gone") == b"brief"
    assert b"gone" in aged
    assert aged.get_many([b"gone", b"stays"]) == {b"gone": b"brief", b"stays": b"here"}
    assert [*aged] == [b"gone", b"other", b"stays"]


def test_an_expired_record_is_absent_for_every_read(aged: shardkv.Store) -> None:
    shift(aged, 3600)
    assert aged.get(b"gone") is None
    assert aged.get(b"gone", b"default") == b"default"
    assert b"gone" not in aged
    with pytest.raises(KeyError):
        aged[b"gone"]
    assert aged.get_many([b"gone", b"stays", b"other"]) == {b"stays": b"here"}
    for reverse in (False, True):
        assert list(aged.scan(reverse=reverse)) == [(b"stays", b"here")]
        assert list(aged.scan(prefix=b"go", reverse=reverse)) == []
        assert list(aged.scan(limit=1, reverse=reverse)) == [(b"stays", b"here")]


def test_an_expired_record_cannot_be_deleted_or_popped(aged: shardkv.Store) -> None:
    before = aged.stats().seqno
    shift(aged, 3600)
    assert aged.delete(b"gone") is False
    assert aged.pop(b"gone", None) is None
    assert aged.delete_many([b"gone", b"other", b"never"]) == 0
    with pytest.raises(KeyError):
        del aged[b"gone"]
    wait_until(lambda: aged.stats().expired_removed == 2)
    assert aged.stats().seqno == before + 2  # these removals, and nothing else


def test_an_expired_key_can_be_written_again(aged: shardkv.Store) -> None:
    shift(aged, 3600)
    aged.put(b"gone", b"newer")
    assert aged[b"gone"] == b"newer"
    assert aged.delete(b"gone") is True
    assert b"gone" not in aged
    aged.flush()
    assert b"gone" not in aged


def test_a_put_without_a_ttl_takes_the_expiry_away(aged: shardkv.Store) -> None:
    aged.put(b"gone", b"for ever")
    aged.put_many({b"other": b"for ever"})
    shift(aged, YEARS_10)
    assert aged.get_many([b"gone", b"other"]) == {b"gone": b"for ever", b"other": b"for ever"}


def test_a_snapshot_judges_by_the_moment_it_was_taken(aged: shardkv.Store) -> None:
    with aged.snapshot() as before:
        shift(aged, 3600)
        with aged.snapshot() as after:
            for _ in range(2):
                assert before.get(b"gone") == b"brief"
                assert b"gone" in before
                assert before.get_many([b"gone", b"other"]) == {
                    b"gone": b"brief",
                    b"other": b"brief",
                }
                assert [*before] == [b"gone", b"other", b"stays"]
                assert after.get(b"gone") is None
                assert b"gone" not in after
                assert after.get_many([b"gone", b"other"]) == {}
                assert [*after] == [b"stays"]
                aged.flush()
        assert aged.get(b"gone") is None


def test_a_scan_judges_by_the_moment_it_began(aged: shardkv.Store) -> None:
    rows = aged.scan()
    shift(aged, 3600)
    assert [key for key, _ in rows] == [b"gone", b"other", b"stays"]


@pytest.mark.parametrize("flush", [False, True])
def test_an_expiry_survives_reopening_and_a_clock_that_was_set_back(
    tmp_path: Path, flush: bool
) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store.put(b"an hour", b"1", ttl=3600)
        store.put(b"a day", b"2", ttl=86400)
        store.close(flush=flush)
    with shardkv.open(tmp_path / "store") as store:
        assert [*store] == [b"a day", b"an hour"]
        shift(store, 3600)
        assert [*store] == [b"a day"]
        store.close(flush=flush)
    with shardkv.open(tmp_path / "store") as store:
        for seconds in (0, -YEARS_10):  # a new process knows of no shift: the clock was set back
            shift(store, seconds)
            assert [*store] == [b"a day"]
            assert store.get(b"an hour") is None
        shift(store, 86400)
        assert [*store] == []


def test_time_goes_on_for_records_that_are_written_after_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    """With a clock that stands still until the machine's has caught up, nothing would expire for years."""
    with shardkv.open(tmp_path / "store") as store:
        shift(store, YEARS_10)
        store.put(b"written ahead", b"1", ttl=3600)
        shift(store, 0)
        store.put(b"brief", b"1", ttl=0.001)
        deadline = time.monotonic() + 30
        while b"brief" in store:
            assert time.monotonic() < deadline
        assert b"written ahead" in store


def test_a_jump_of_ten_years_expires_what_lives_shorter_and_nothing_else(
    store: shardkv.Store,
) -> None:
    store.put(b"nine", b"1", ttl=0.9 * YEARS_10)
    store.put(b"eleven", b"1", ttl=1.1 * YEARS_10)
    store.put(b"hundred", b"1", ttl=TTL_MAX)
    shift(store, -YEARS_10)
    assert [*store] == [b"eleven", b"hundred", b"nine"]
    shift(store, YEARS_10)
    assert [*store] == [b"eleven", b"hundred"]
    shift(store, -YEARS_10)
    assert [*store] == [b"eleven", b"hundred"]


def test_a_record_expires_in_the_millisecond_that_it_was_given(store: shardkv.Store) -> None:
    """Exact: it is never absent before, and never there after, by the store's own clock."""
    engine = store._engine
    for ttl in (1, 2, 5, 20):
        for key, write in (
            (b"put", lambda ms: engine.put(b"put", b"v", _native.MEMORY, 1.0, ms)),
            (b"batch", lambda ms: engine.apply(_native.pack([(b"batch", b"v", ms)]), 1, 1.0)),
        ):
            began = engine.clock_ms()
            write(ttl)
            written = engine.clock_ms()
            while True:
                before = engine.clock_ms()
                there = key in store
                after = engine.clock_ms()
                if there:
                    assert before < written + ttl
                else:
                    assert after >= began + ttl
                    break


def test_items_of_a_batch_have_each_their_own_ttl(store: shardkv.Store) -> None:
    with store.batch() as batch:
        batch.put(b"hour", b"1", ttl=3600)
        batch.put(b"ever", b"2")
        batch.put(b"day", b"3", ttl=86400)
        batch.delete(b"never")
    assert [*store] == [b"day", b"ever", b"hour"]
    shift(store, 3600)
    assert [*store] == [b"day", b"ever"]
    shift(store, 86400)
    assert [*store] == [b"ever"]


def test_every_way_to_write_takes_a_ttl(store: shardkv.Store) -> None:
    store.put(b"put", b"1", ttl=10)
    store.submit(b"submit", b"1", ttl=10).wait()
    store.put_many({b"dict": b"1"}, ttl=10)
    store.put_many([(b"pairs", b"1")], ttl=10)
    store.put_many(((b"many%d" % i, b"1") for i in range(20_000)), ttl=10)
    store.update({b"update": b"1"})
    assert len([*store]) == 20_005
    shift(store, 10)
    assert [*store] == [b"update"]


def test_a_killed_store_does_not_show_again_what_it_told_had_expired(tmp_path: Path) -> None:
    """The side file is written soon after such an answer, with nothing else to write."""
    mark, copy, hours = tmp_path / "store" / "log" / "MARK", tmp_path / "copy", range(1, 6)
    with shardkv.open(tmp_path / "store") as store:
        for hour in hours:
            store.put(b"%d" % hour, b"v", ttl=hour * 3600)
    with shardkv.open(tmp_path / "store", readonly=True) as store:  # so that no removal is written
        for hour in hours:  # opening writes it, too; but not so often
            shift(store, hour * 3600)
            assert store.get(b"%d" % hour) is None
            least = store._engine.clock_ms() - 1800_000
            wait_until(lambda: newest_in(mark, 80) >= least)  # noqa: B023
        shutil.copytree(tmp_path / "store", copy)  # what a kill would have left
    with shardkv.open(copy) as store:
        assert [*store] == []


def newest_in(mark: Path, offset: int) -> int:
    """A number of the side file, 80 is its clock_ms, as FORMAT.md section 7 describes it."""
    data = mark.read_bytes()
    return max(
        int.from_bytes(data[slot + offset : slot + offset + 8], "little") for slot in (0, 512)
    )


# -- removal


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline


def test_len_counts_expired_records_until_they_are_removed_in_the_background(
    aged: shardkv.Store,
) -> None:
    assert len(aged) == 3
    shift(aged, 3600)
    wait_until(lambda: aged.stats().expired_removed == 2)
    assert len(aged) == 1
    assert [*aged] == [b"stays"]


def test_removal_goes_on_after_reopening(tmp_path: Path) -> None:
    """That a shard holds records with an expiry is written in it."""
    for flush in (True, False):
        with shardkv.open(tmp_path / str(flush)) as store:
            store.put_many({b"%d" % i: b"v" for i in range(5000)}, ttl=3600)
            store.put(b"stays", b"v")
            store.close(flush=flush)
        with shardkv.open(tmp_path / str(flush)) as store:
            assert len(store) == 5001
            shift(store, 3600)
            wait_until(lambda: len(store) == 1)
            store.flush()
            assert sum(shard.records for shard in store.stats().shards) == 1


def test_records_that_expire_one_after_the_other_are_removed_one_after_the_other(
    store: shardkv.Store,
) -> None:
    for turn in range(2):
        for hours in (1, 2, 3):
            store.put_many({b"%d/%d" % (hours, i): b"v" for i in range(500)}, ttl=hours * 3600)
            if turn:
                store.flush()
        for hours in (1, 2, 3):
            shift(store, (3 * turn + hours) * 3600)
            wait_until(lambda: len(store) == 500 * (3 - hours))  # noqa: B023


def test_a_flush_of_what_expires_sooner_brings_the_next_pass_forward(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=1) as store:
        store.put(b"in 1", b"v", ttl=3600)
        store.put(b"in 5", b"v", ttl=5 * 3600)
        store.flush()
        shift(store, 3600)
        wait_until(lambda: len(store) == 1)  # the next pass over the shard is due in four hours
        store.put(b"in 2", b"v", ttl=3600)
        store.flush()
        shift(store, 2 * 3600)
        wait_until(lambda: len(store) == 1)
        assert [*store] == [b"in 5"]


def test_what_a_flush_takes_from_under_a_sweep_is_swept_in_the_shard(tmp_path: Path) -> None:
    """The pass had taken note of their times, and the flush then knew of none: what expired stayed."""
    with shardkv.open(tmp_path / "store", shards=1) as store:
        store.put(b"in 1", b"v", ttl=3600)
        store.put(b"in 100", b"v", ttl=100 * 3600)
        store.flush()
        shift(store, 3600)
        wait_until(lambda: len(store) == 1)  # the next pass over the shard is due in 99 hours
        store.put_many({b"in 2/%04d" % number: b"v" for number in range(3000)}, ttl=3600)
        shift(store, 2 * 3600)
        wait_until(lambda: store.stats().expired_removed > 1)
        store.flush()
        wait_until(lambda: len(store) == 1)
        assert [*store] == [b"in 100"]


def test_purge_removes_all_that_has_expired_and_nothing_else(aged: shardkv.Store) -> None:
    aged.put(b"longer", b"v", ttl=7200)
    assert aged.purge_expired() == 0
    assert len(aged) == 4
    shift(aged, 3600)
    assert aged.purge_expired() <= 2  # or the background was quicker, and counts its last one later
    wait_until(lambda: aged.stats().expired_removed == 2)
    assert len(aged) == len([*aged]) == 2
    assert aged.purge_expired() == 0
    aged.flush()
    assert sum(shard.records for shard in aged.stats().shards) == 2


def test_purge_looks_at_every_record_of_large_shards(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        store.put_many((b"%06d" % i, b"v") for i in range(30_000))
        store.put_many(((b"%06d+" % i, b"v") for i in range(30_000)), ttl=3600)
        store.flush()
        shift(store, 3600)
        store.purge_expired()
        assert len(store) == 30_000
        wait_until(lambda: store.stats().expired_removed == 30_000)


def test_clear_leaves_nothing_that_counts(aged: shardkv.Store) -> None:
    shift(aged, 3600)
    aged.clear()
    assert len(aged) == 0


def test_a_removal_is_a_delete_for_who_follows_the_log(store: shardkv.Store) -> None:
    written = store.put(b"key", b"value", ttl=3600)
    store.flush()
    shift(store, 3600)
    store.purge_expired()
    store.sync()
    change = next(iter(store.changes(since=written)))
    assert (change.key, change.value) == (b"key", None)


def test_a_snapshot_keeps_what_is_removed_after_it(aged: shardkv.Store) -> None:
    with aged.snapshot() as cut:
        shift(aged, 3600)
        aged.purge_expired()
        aged.flush()
        assert [*cut] == [b"gone", b"other", b"stays"]
        assert cut.get(b"gone") == b"brief"


def test_a_store_opened_to_read_removes_nothing(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store.put(b"key", b"value", ttl=3600)
    with shardkv.open(tmp_path / "store", readonly=True) as store:
        shift(store, 3600)
        with pytest.raises(shardkv.ReadOnlyError):
            store.purge_expired()
        assert b"key" not in store
        assert len(store) == 1


def test_removal_never_takes_a_value_that_was_written_meanwhile(store: shardkv.Store) -> None:
    """The removal of an expired record and a put of the same key race; whoever wins, the new value stays."""
    keys = [b"%04d" % i for i in range(2000)]
    for turn in range(6):
        store.put_many(dict.fromkeys(keys, b"old"), ttl=0.001)
        store.flush()
        stop = threading.Event()

        def sweep() -> None:
            while not stop.is_set():  # noqa: B023
                for shard in range(3):
                    store._engine.remove_expired(shard, b"", 30.0)

        sweeping = threading.Thread(target=sweep)
        sweeping.start()
        try:
            for key in keys if turn % 2 else reversed(keys):
                store.put(key, b"new", ack="memory")
                if turn > 3 and key.endswith(b"00"):
                    store.flush()
        finally:
            stop.set()
            sweeping.join()
        assert store.get_many(keys) == dict.fromkeys(keys, b"new")
        assert len(store) == len(keys)


def test_a_damaged_record_is_not_removed_on_the_word_of_its_expiry(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=1) as store:
        store.put(b"damaged", b"precious", ttl=TTL_MAX)
    data = tmp_path / "store" / "shards" / "0000" / "data.mdb"
    image = bytearray(data.read_bytes())
    expiry = image[image.index(b"precious") - 8 : image.index(b"precious")]
    image = image.replace(expiry + b"precious", (1).to_bytes(8, "little") + b"precious")
    data.write_bytes(image)
    with shardkv.open(tmp_path / "store") as store:
        for look in (lambda: store.get(b"damaged"), lambda: [*store], lambda: b"damaged" in store):
            with pytest.raises(shardkv.CorruptionError):
                look()
        assert store.purge_expired() == 0
        assert len(store) == 1


def test_places_of_a_removal_are_checked(store: shardkv.Store) -> None:
    with pytest.raises(shardkv.InvalidError, match="shard 99: the store has 3"):
        store._engine.remove_expired(99, b"", 1.0)
    with pytest.raises(shardkv.KeyTooLongError, match="501 bytes"):
        store._engine.remove_expired(0, b"k" * 501, 1.0)


def test_a_limit_of_writes_is_for_users_and_does_not_hold_removal_back(
    store: shardkv.Store,
) -> None:
    store.put_many(((b"%d" % i, b"v") for i in range(1000)), ttl=3600)
    store.flush()
    store.configure(max_writes_per_s=1)
    shift(store, 3600)
    store.purge_expired()
    wait_until(lambda: store.stats().expired_removed == 1000)
    assert store.stats().limited_s < 1
