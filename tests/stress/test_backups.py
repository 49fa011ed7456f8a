"""Backups under full write load: each is the store as it was at one seqno, batches whole, and hinders nobody."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import shardkv

SMALL: dict[str, Any] = {"shards": 4, "segment_bytes": (65536, 1 << 20)}
WRITERS, BATCH = 3, 20
ROUNDS = [8, pytest.param(50, marks=pytest.mark.slow)]
History = list[shardkv.Change]


def write(store: shardkv.Store, number: int, seed: str, stop: threading.Event) -> None:
    """Puts, deletes, expiries and batches; each batch says the same in all its keys, raw and of a namespace."""
    rng = random.Random(seed)
    pairs = store.namespace("pairs")
    turn = 0
    while not stop.is_set():
        turn += 1
        key = b"%d/%d" % (number, rng.randrange(300))
        kind = rng.randrange(10)
        if kind < 5:
            store.put(key, rng.randbytes(rng.randrange(400)), ack="memory")
        elif kind < 7:
            store.put(key, b"for a while", ttl=1000, ack="memory")
        elif kind < 9:
            store.delete(key, ack="memory")
        else:
            with store.batch(ack=rng.choice(("memory", "disk"))) as batch:
                for n in range(BATCH):
                    batch.put(b"batch %d/%d" % (number, n), b"%d" % turn)
                pairs.using(batch).put((number,), turn)


def flush(store: shardkv.Store, stop: threading.Event) -> None:
    while not stop.is_set():
        store.flush()


def state_at(history: History, seqno: int) -> dict[bytes, bytes]:
    """What the first `seqno` records make."""
    rows: dict[bytes, bytes] = {}
    for change in history:
        if change.seqno > seqno:
            break
        if change.value is None:
            rows.pop(change.key, None)
        else:
            rows[change.key] = change.value
    return rows


def check_copy(path: Path, history: History, info: shardkv.BackupInfo) -> None:
    with shardkv.open(path, **SMALL) as copy:
        assert copy.stats().seqno == info.seqno
        rows = dict(copy)
        assert rows == state_at(history, info.seqno)
        assert len(copy) == len(rows)
        pairs = copy.namespace("pairs")
        for number in range(WRITERS):
            told = {rows.get(b"batch %d/%d" % (number, n)) for n in range(BATCH)}
            turn = pairs.get((number,))
            assert told == {None if turn is None else b"%d" % turn}, "a batch is not whole"
        copy.put(b"goes on", b"")


OPTIONS = {**SMALL, "retain_log_bytes": 1 << 30, "unflushed_bytes": 1 << 20}


@contextmanager
def load(store: shardkv.Store, rng: random.Random, *, flushing: bool) -> Iterator[None]:
    """Write from several threads, and flush without a rest."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=write, args=(store, n, f"{rng.random()}", stop))
        for n in range(WRITERS)
    ]
    if flushing:
        threads.append(threading.Thread(target=flush, args=(store, stop)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("flushing", [False, True])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_backup_under_load_is_the_store_at_its_seqno(
    tmp_path: Path, rng: random.Random, flushing: bool, rounds: int
) -> None:
    with shardkv.open(tmp_path / "store", **OPTIONS) as store:
        with load(store, rng, flushing=flushing):
            infos = [store.backup(tmp_path / f"copy {n}") for n in range(rounds)]
        assert sorted(info.seqno for info in infos) == [info.seqno for info in infos]
        history = list(store.changes(since=0))
    for n, info in enumerate(infos):
        check_copy(tmp_path / f"copy {n}", history, info)


@pytest.mark.parametrize("flushing", [False, True])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_backup_that_grows_under_load_can_be_restored_as_of_each_time(
    tmp_path: Path, rng: random.Random, flushing: bool, rounds: int
) -> None:
    dest = tmp_path / "backup"
    with shardkv.open(tmp_path / "store", **OPTIONS) as store:
        with load(store, rng, flushing=flushing):
            infos = [store.backup(dest) for _ in range(rounds)]
        assert [info.since for info in infos[1:]] == [info.seqno for info in infos[:-1]]
        history = list(store.changes(since=0))
    assert shardkv.check(dest, pages=False).ok
    for n, info in enumerate(infos):
        assert shardkv.restore(dest, tmp_path / f"{n}", until=info.seqno).seqno == info.seqno
        check_copy(tmp_path / f"{n}", history, info)
    check_copy(dest, history, infos[-1])


class StopError(Exception):
    """Raised by a progress callback."""


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_backup_that_is_ended_again_and_again_under_load_is_whole_in_the_end(
    tmp_path: Path, rng: random.Random, rounds: int
) -> None:
    """In small pieces, so that shards are left half copied, and flushed into in between."""

    def maybe_stop(done: int, total: int) -> None:
        if rng.random() < 0.03:
            raise StopError

    infos = []
    with shardkv.open(tmp_path / "store", **OPTIONS) as store:
        for n in range(1000):
            store.put(b"old/%d" % n, rng.randbytes(500), ack="memory")
        store.flush()
        with load(store, rng, flushing=True):
            while len(infos) < rounds or not any(info.kept_shards for info in infos):
                with suppress(StopError):
                    dest = tmp_path / f"copy {len(infos)}"
                    infos.append(
                        store.backup(dest, progress=maybe_stop, max_bytes_per_s=40_000_000)
                    )
        history = list(store.changes(since=0))
    for n, info in enumerate(infos):
        check_copy(tmp_path / f"copy {n}", history, info)


def test_the_log_is_kept_while_a_backup_is_under_way_and_no_longer(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", unflushed_bytes=1 << 20, **SMALL) as store:
        kept: list[int] = []

        def outgrow(done: int, total: int) -> None:
            for n in range(200):
                store.put(b"%d" % n, bytes(5000), ack="memory")
            store.flush()
            log = store.stats().log
            kept.append(log.bytes + log.retained_bytes)

        store.put(b"first", b"")
        info = store.backup(tmp_path / "copy", progress=outgrow)
        assert kept == sorted(kept)
        assert kept[-1] > 3 << 20
        while store.stats().log.retained_bytes:  # the log loop gives it back
            store.put(b"more", b"")
            store.flush()
        with shardkv.open(tmp_path / "copy") as copy:
            assert copy.stats().seqno == info.seqno
            assert copy[b"199"] == bytes(5000)


def test_backups_side_by_side_and_not_too_many(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        store[b"a"] = b"1"

        def nest(depth: int) -> None:
            if depth == 16:
                with pytest.raises(shardkv.FullError, match="16 copies"):
                    store.backup(tmp_path / "one too many")
                return
            once = iter([nest])
            store.backup(
                tmp_path / f"copy {depth}",
                progress=lambda done, total: next(once, lambda depth: None)(depth + 1),
            )

        nest(0)
        assert not (tmp_path / "one too many").exists()
        for depth in range(16):
            with shardkv.open(tmp_path / f"copy {depth}") as copy:
                assert dict(copy) == {b"a": b"1"}


def test_closing_the_store_ends_a_backup(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store", retain_log_bytes=1 << 20, **SMALL)
    store[b"a"] = b"1"
    with pytest.raises(shardkv.ClosedError):
        store.backup(tmp_path / "copy", progress=lambda done, total: store.close())
    with pytest.raises(shardkv.FormatError, match="not finished"):
        shardkv.open(tmp_path / "copy")
    with shardkv.open(tmp_path / "store") as again:
        assert dict(again) == {b"a": b"1"}
        assert again.backup(tmp_path / "copy").kept_shards == 1
    with shardkv.open(tmp_path / "copy") as copy:
        assert dict(copy) == {b"a": b"1"}
