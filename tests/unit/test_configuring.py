"""Settings: changed while open, kept by the store, and in force at once; limits that hold."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import pickle
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import shardkv
import shardkv.aio

SMALL: dict[str, Any] = {"shards": 2, "segment_bytes": (65536, 65536)}
DEFAULTS = shardkv.Settings(
    max_writes_per_s=0, max_bytes_per_s=0, retain_log_bytes=0, unflushed_bytes=256 << 20
)
OTHERS: dict[str, int] = {
    "max_writes_per_s": 123_456,
    "max_bytes_per_s": 1 << 40,
    "retain_log_bytes": 1 << 33,
    "unflushed_bytes": 1 << 20,
}


# -- kept


def test_a_new_store_has_the_defaults(store: shardkv.Store) -> None:
    assert store.configure() == store.stats().settings == DEFAULTS


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_is_in_force_at_once_and_after_reopening(tmp_path: Path, name: str) -> None:
    wanted = dataclasses.replace(DEFAULTS, **{name: OTHERS[name]})
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        assert store.configure(**{name: OTHERS[name]}) == wanted
        assert store.stats().settings == wanted
    for _ in range(2):
        with shardkv.open(tmp_path / "store") as store:
            assert store.configure() == wanted


def test_only_what_is_named_changes(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", **SMALL, **OTHERS) as store:
        assert store.configure() == shardkv.Settings(**OTHERS)
        assert store.configure(max_writes_per_s=7).max_writes_per_s == 7
    with shardkv.open(tmp_path / "store") as store:
        assert store.configure() == shardkv.Settings(**{**OTHERS, "max_writes_per_s": 7})
        assert store.configure(max_writes_per_s=0, max_bytes_per_s=0).max_bytes_per_s == 0
    with shardkv.open(tmp_path / "store", retain_log_bytes=0) as store:
        assert store.configure() == dataclasses.replace(DEFAULTS, unflushed_bytes=1 << 20)


def test_a_setting_named_at_open_is_kept(tmp_path: Path) -> None:
    shardkv.open(tmp_path / "store", **SMALL).close()
    shardkv.open(tmp_path / "store", max_writes_per_s=99).close()
    with shardkv.open(tmp_path / "store") as store:
        assert store.configure().max_writes_per_s == 99


def test_an_open_store_is_not_changed_by_opening_it_again(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        store.configure(max_writes_per_s=1000)
        with pytest.raises(shardkv.InvalidError, match="max_writes_per_s"):
            shardkv.open(tmp_path / "store", max_writes_per_s=5)
        with shardkv.open(tmp_path / "store", max_writes_per_s=1000) as other:
            assert other.configure(max_writes_per_s=2000) == store.configure()


def test_a_pickle_does_not_bring_old_settings_back(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        pickled = pickle.dumps(store)
        store.configure(**OTHERS)
    with pickle.loads(pickled) as again:
        assert again.configure() == shardkv.Settings(**OTHERS)


def test_a_readonly_store_keeps_its_settings(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", max_writes_per_s=50, **SMALL):
        pass
    with pytest.raises(shardkv.ReadOnlyError):
        shardkv.open(tmp_path / "store", readonly=True, max_writes_per_s=51)
    with shardkv.open(tmp_path / "store", readonly=True, max_writes_per_s=50) as store:
        with pytest.raises(shardkv.ReadOnlyError):
            store.configure(max_writes_per_s=60)
        assert store.configure().max_writes_per_s == 50
    with shardkv.open(tmp_path / "store") as store:
        assert store.configure().max_writes_per_s == 50


def test_a_change_that_cannot_be_stored_changes_nothing(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        os.mkdir(tmp_path / "store/MANIFEST.new")
        with pytest.raises(shardkv.DiskError) as caught:
            store.configure(max_writes_per_s=5)
        assert caught.value.errno in (errno.EISDIR, errno.EPERM)
        assert store.configure() == store.stats().settings == DEFAULTS
        os.rmdir(tmp_path / "store/MANIFEST.new")
        store.configure(max_writes_per_s=6)
    with shardkv.open(tmp_path / "store") as store:
        assert store.configure().max_writes_per_s == 6


# -- in force


def test_a_smaller_budget_holds_at_once(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        for n in range(400):
            store.put(b"%d" % n, bytes(10_000), ack="memory")
        assert store.stats().unflushed_bytes > 2 << 20
        store.configure(unflushed_bytes=1 << 20)
        for n in range(100):
            store.put(b"%d" % n, bytes(10_000), ack="memory")
        assert store.stats().unflushed_bytes <= (1 << 20) + 20_000


def test_a_smaller_retention_drops_at_once(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", retain_log_bytes=1 << 30, **SMALL) as store:
        for n in range(100):
            store.put(b"%d" % n, bytes(10_000), ack="memory")
        store.flush()
        while store.stats().log.retained_bytes < 500_000:
            store.sync()
        store.configure(retain_log_bytes=200_000)
        while store.stats().log.retained_bytes > 200_000:
            store.sync()
        with pytest.raises(shardkv.LogGoneError):
            store.changes()


def timed(call: Any) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


WRITES: dict[str, Any] = {
    "put": lambda store, n: store.put(b"%d" % n, b""),
    "memory": lambda store, n: store.put(b"%d" % n, b"", ack="memory"),
    "submit": lambda store, n: store.submit(b"%d" % n, b""),
    "put_many": lambda store, n: store.put_many([(b"%d" % n, b"")]),
    "batch": lambda store, n: store.put_many({b"%d" % n: b""}),
    "incr": lambda store, n: store.incr(b"number"),
    "add": lambda store, n: store.add(b"%d" % n, b""),
}


@pytest.mark.parametrize("way", WRITES)
def test_no_more_writes_than_the_limit(tmp_path: Path, way: str) -> None:
    with shardkv.open(tmp_path / "store", max_writes_per_s=200, **SMALL) as store:
        spent = timed(lambda: [WRITES[way](store, n) for n in range(100)])
        assert spent >= 0.39, "20 at once, 80 at 200 a second"
        store.configure(max_writes_per_s=0)
        before = store.stats().limited_s
        for n in range(100):
            WRITES[way](store, 1000 + n)
        assert store.stats().limited_s == before


def test_no_more_bytes_than_the_limit(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", max_bytes_per_s=1_000_000, **SMALL) as store:
        spent = timed(lambda: [store.put(b"%d" % n, bytes(10_000)) for n in range(50)])
        assert spent >= 0.39, "100 kB at once, 400 kB at 1 MB a second"


def test_each_record_of_a_batch_counts(tmp_path: Path) -> None:
    pairs = [(b"%d" % n, b"") for n in range(400)]
    with shardkv.open(tmp_path / "store", max_writes_per_s=1000, **SMALL) as store:
        spent = timed(lambda: (store.put_many(pairs), store.put(b"a", b"")))
        assert spent >= 0.29, "100 at once, and what is over is paid by what follows"
        store.configure(max_writes_per_s=900)
        assert timed(lambda: store.delete_many([key for key, _ in pairs])) >= 0.33


def test_over_the_limit_for_too_long_is_told_and_writes_nothing(tmp_path: Path) -> None:
    with shardkv.open(
        tmp_path / "store", max_writes_per_s=10, write_timeout=0.05, **SMALL
    ) as store:
        store.put_many([(b"%d" % n, b"") for n in range(300)])
        for _ in range(20):
            with pytest.raises(shardkv.OverloadedError, match="limit of writes"):
                store.put(b"no", b"")
        assert b"no" not in store
        assert store.stats().limited_s > 0.5, "20 times 0.05"
        store.configure(max_writes_per_s=0)
        store.put(b"yes", b"")
        assert b"yes" in store


def turn_comes_in(error: BaseException) -> float:
    """Seconds that the end of the line was away for a write that gave up."""
    found = re.search(r"the turn comes in ([0-9.]+) s", str(error))
    assert found, error
    return float(found[1])


MANY = [(b"%d" % n, b"") for n in range(8000)]


def test_who_gave_up_is_not_waited_for(tmp_path: Path) -> None:
    with shardkv.open(
        tmp_path / "store", max_writes_per_s=20, write_timeout=0.01, **SMALL
    ) as store:
        store.put_many(MANY)
        away = []
        for _ in range(5):
            with pytest.raises(shardkv.OverloadedError) as caught:
                store.put_many(MANY)
            away.append(turn_comes_in(caught.value))
        assert away == sorted(away, reverse=True), "each found the line shorter, not longer"


def test_a_raised_limit_reaches_who_waits(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", max_writes_per_s=1, **SMALL) as store:
        store.put_many([(b"%d" % n, b"") for n in range(100)])
        thread = threading.Thread(target=lambda: store.put(b"a", b"1"))
        thread.start()
        store.configure(max_writes_per_s=1000)
        thread.join(60)
        assert store[b"a"] == b"1"


def test_threads_share_a_limit_evenly(tmp_path: Path) -> None:
    """Served in the order in which they came: whoever writes at once after being served stands behind all others."""
    order: list[int] = []
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        gate = threading.Barrier(5)

        def write(number: int) -> None:
            gate.wait()
            for _ in range(20):
                store.put(b"%d" % number, b"", ack="memory")
                order.append(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        store.configure(max_writes_per_s=50)
        store.put_many([(b"%d" % n, b"") for n in range(25)])
        gate.wait()
        for thread in threads:
            thread.join()
    seen = [0] * 4
    for number in order:
        seen[number] += 1
        if max(seen) == 20:  # whoever has all of its turns first
            break
    assert min(seen) >= 10, order


def test_a_limit_holds_for_tasks_as_well(tmp_path: Path) -> None:
    async def main() -> float:
        async with shardkv.aio.open(tmp_path / "store", max_writes_per_s=200, **SMALL) as store:
            began = time.monotonic()
            await asyncio.gather(*(store.put(b"%d" % n, b"") for n in range(100)))
            spent = time.monotonic() - began
            assert len(await store.get_many([b"%d" % n for n in range(100)])) == 100
            return spent

    assert 0.39 <= asyncio.run(main()) < 30


def test_a_task_that_gives_up_leaves_the_line(tmp_path: Path) -> None:
    """Whoever else writes to the store does not wait for it."""
    limited = {"max_writes_per_s": 20, **SMALL}

    async def main(other: shardkv.Store) -> list[float]:
        away = []
        async with shardkv.aio.open(tmp_path / "store", **limited) as store:
            for _ in range(3):
                with pytest.raises(shardkv.OverloadedError) as caught:
                    other.put(b"no", b"")
                away.append(turn_comes_in(caught.value))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(store.put_many(MANY[:900]), 0.01)
        return away

    with shardkv.open(tmp_path / "store", write_timeout=0.01, **limited) as other:
        other.put_many(MANY)
        away = asyncio.run(main(other))
    assert away == sorted(away, reverse=True)


# -- bad input


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("value", [True, 1.5, "1", b"1", [1]])
def test_a_setting_of_the_wrong_type_is_refused(
    store: shardkv.Store, name: str, value: Any
) -> None:
    with pytest.raises(TypeError, match=name):
        store.configure(**{name: value})
    assert store.configure() == DEFAULTS


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("value", [-1, (1 << 46) + 1, 1 << 64])
def test_a_setting_out_of_range_is_refused(store: shardkv.Store, name: str, value: int) -> None:
    with pytest.raises(shardkv.InvalidError, match=name):
        store.configure(**{name: value})
    assert store.configure() == DEFAULTS


def test_all_are_refused_when_one_is_wrong(store: shardkv.Store) -> None:
    for wrong in (0, 1, (1 << 20) - 1):
        with pytest.raises(shardkv.InvalidError, match="unflushed_bytes"):
            store.configure(max_writes_per_s=5, unflushed_bytes=wrong)
    assert store.configure() == DEFAULTS


def test_an_unknown_setting_is_refused(store: shardkv.Store) -> None:
    with pytest.raises(TypeError, match="colour"):
        store.configure(colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        store.configure(5)  # type: ignore[misc]


def test_a_closed_store_is_not_configured(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    store.close()
    with pytest.raises(shardkv.ClosedError):
        store.configure()
    with pytest.raises(shardkv.ClosedError):
        store.configure(max_writes_per_s=5)
