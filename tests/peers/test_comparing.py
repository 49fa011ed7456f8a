"""A store and its peers are held against each other at one seqno, whoever writes meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers.families import Away

import shardkv
from shardkv import comparing
from shardkv._native import DISK, Engine
from shardkv.comparing import Apart, compare
from shardkv.options import Options
from shardkv.stopping import Stop
from shardkv.workers import Workers


@contextlib.contextmanager
def alone(path: Path, *, following: bool = False) -> Iterator[Engine]:
    """A directory opened by itself, whatever its family thinks of that."""
    engine = Engine(str(path), Options(create=False, following=following))
    workers = Workers(engine)
    workers.start()
    try:
        yield engine
        engine.flush()
    finally:
        engine.stop()
        workers.join()
        engine.close()


def made(path: Path, peer: Path) -> None:
    with shardkv.open(path, shards=2, peers=[peer], ack="all") as store:
        store.put_many({b"key %d" % n: b"v" * 50 for n in range(200)})
        store.namespace("people")["ada"] = 1


def diverge(*paths: Path) -> None:
    """Write another value of one key into each, under the same seqno: nothing but the content tells."""
    for path in paths:
        with alone(path) as engine:
            engine.put(b"stray", path.name.encode(), DISK, 5.0)


@contextlib.contextmanager
def written(store: shardkv.Store) -> Iterator[threading.Event]:
    """While in this block somebody puts, deletes, and lets expire. The event: everything was done once, at least."""
    over, busy = threading.Event(), threading.Event()

    def write() -> None:
        people = store.namespace("people")
        for n in itertools.count():
            store.put(b"key %d" % (n % 300), b"%d" % n, ack="memory", ttl=n % 3 * 60 + 60)
            store.delete(b"key %d" % (n * 7 % 300), ack="memory")
            people[str(n % 10)] = n
            if n > 300:
                busy.set()
            if over.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield busy
    finally:
        over.set()
        writer.join()


def test_sound_copies_are_the_same_while_somebody_writes(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    made(a, b)
    with shardkv.open(a) as store, written(store) as busy:
        busy.wait()
        for _ in range(5):
            before = store.stats().seqno
            report = store.scrub()
            assert report.findings == ()
            assert report.compared == (str(b),)
            assert report.not_compared == {}
            assert store.stats().seqno > before, "somebody wrote meanwhile"


def test_divergence_is_found_while_somebody_writes(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    made(a, b)
    diverge(a, b)
    with shardkv.open(a) as store, written(store) as busy:
        busy.wait()
        report = store.scrub()
        shard = store.shard_of(b"stray")
        assert store[b"stray"] == b"a"
    (found,) = report.findings
    assert (found.peer, found.file) == (str(b), f"shards/{shard:04}/data.mdb")
    assert "not the same" in found.text
    assert report.compared == (str(b),)


@pytest.mark.parametrize("flushed", ["store", "peer"])
def test_what_one_has_flushed_and_the_other_not_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: str
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    made(a, b)
    with shardkv.open(a, ack="all") as store:
        peer = store.peers.engine_of(str(b))
        assert peer
        store.flush()
        peer.flush()
        store.put_many({b"key %d" % n: b"new" for n in range(0, 400, 3)})
        store.delete(b"key 1")
        store.namespace("people")["bob"] = 2
        (store._engine if flushed == "store" else peer).flush()
        monkeypatch.setattr(comparing, "flush", lambda engine, stop: None)
        assert all(own == other for own, other in compare(store._engine, peer, Stop()))


def test_a_peer_that_is_too_far_behind_is_not_said_to_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with shardkv.open(a, shards=2) as store:
        store[b"k"] = b"1"
    shutil.copytree(a, b)
    monkeypatch.setattr(comparing, "CATCH_UP_S", 0.0)
    with shardkv.open(a) as store, alone(b, following=True) as other:
        assert all(own == theirs for own, theirs in compare(store._engine, other, Stop()))
        store[b"k"] = b"2"
        store[b"l"] = b"3"
        with pytest.raises(Apart, match="2 records behind"):
            compare(store._engine, other, Stop())


def test_too_many_changes_are_not_said_to_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    made(a, b)
    with shardkv.open(a, ack="all") as store:
        assert store.scrub().compared == (str(b),)
        monkeypatch.setattr(comparing, "KEYS_MAX", 3)
        monkeypatch.setattr(comparing, "flush", lambda engine, stop: None)
        store.put_many({b"key %d" % n: b"new" for n in range(4)})
        report = store.scrub()
    assert report.ok
    assert report.compared == ()
    assert "more than 3 keys" in report.not_compared[str(b)]


def test_a_peer_that_is_away_is_named(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    made(a, b)
    with Away(b), shardkv.open(a) as store:
        report = store.scrub()
    assert report.ok
    assert report.compared == ()
    assert report.not_compared[str(b)].startswith("failed: ")
