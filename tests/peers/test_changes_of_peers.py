"""Peers that come and go under load, and stores that close in the midst of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from peers.families import contents, family, outrun, put
from stress.traffic import Team

import shardkv
from shardkv import links, peers, places
from shardkv.options import Ack

WRITERS, PEERS = 3, 4
PATIENCE_S = 60.0


class Load:
    """Threads that write at all levels, for as long as it is entered."""

    def __init__(self, store: shardkv.Store) -> None:
        self._store, self._over = store, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]

    def _write(self, who: int) -> None:
        levels: tuple[Ack, ...] = ("disk", "quorum", "all")
        for number in itertools.count():
            if self._over.is_set():
                return
            with contextlib.suppress(shardkv.AckError):
                self._store.put(b"%d/%d" % (who, number), os.urandom(50), ack=levels[number % 3])

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def change(store: shardkv.Store, paths: list[Path], seed: int) -> None:
    """Add and remove peers."""
    coins = random.Random(seed)
    for _ in range(12):
        path = coins.choice(paths)
        with contextlib.suppress(shardkv.InvalidError):  # somebody else was quicker
            if str(path) in set(store.peers):
                store.peers.remove(path)
            else:
                store.peers.add(path)
        assert len(store.peers.status()) <= len(paths)


def put_at_all(store: shardkv.Store) -> None:
    """Wait until every peer has everything."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:  # one that was taken again may be down for a moment
        with contextlib.suppress(shardkv.AckError):
            store.put(b"last", b"1", ack="all")
            return
    pytest.fail(f"{store.peers.status()}")


def test_peers_are_added_and_removed_under_load_from_several_threads(
    tmp_path: Path, rng: random.Random
) -> None:
    paths = [tmp_path / f"peer-{number}" for number in range(PEERS)]
    with shardkv.open(tmp_path / "a", shards=2, segment_bytes=(64 << 10, 1 << 20)) as store:
        with Load(store):
            seeds = [rng.getrandbits(32) for _ in range(3)]
            Team().run([partial(change, store, paths, seed) for seed in seeds])
        for path in paths:
            if str(path) not in set(store.peers):
                store.peers.add(path)
        put_at_all(store)
        assert set(store.peers) == {str(path) for path in paths}
        whole = dict(store.scan())
    with shardkv.open(tmp_path / "a") as store:
        assert set(store.peers) == {str(path) for path in paths}
    for path in paths:
        assert contents(path) == whole


def test_a_store_closes_while_peers_are_copied(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    with shardkv.open(a, shards=4) as store:
        for number in range(200):
            store.put(b"%d" % number, os.urandom(100_000), ack="memory")
        store.peers.add(b)
        store.peers.add(c)
    for turn in range(3):
        with shardkv.open(a, unflushed_bytes=1 << 20 if turn else None) as store:
            store.put(b"turn", b"%d" % turn)
    with shardkv.open(a, write_timeout=60) as store:
        store.put(b"last", b"1", ack="all")
        whole = dict(store.scan())
    assert contents(b) == contents(c) == whole


def test_two_openings_at_once_share_the_peers(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for turn in range(5):
        opened: list[shardkv.Store] = []

        def open_it(found: list[shardkv.Store] = opened) -> None:
            found.append(shardkv.open(a, peers=[b], ack="all"))

        Team().run([open_it] * 3)
        assert len({id(store._shared) for store in opened}) == 1
        opened[0].put(b"k", b"%d" % turn)
        Team().run([store.close for store in opened])
    assert contents(b) == {b"k": b"4"}


def test_a_child_that_was_forked_while_a_peer_was_copied_does_not_keep_the_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had the copy's lock file open, and with it the lock: nobody could open the peer as long as it lived."""
    a, b = tmp_path / "a", tmp_path / "b"
    copying, forked, take = threading.Event(), threading.Event(), links.Copy.next

    def late(copy: links.Copy, piece_bytes: int) -> bool:
        copying.set()
        assert forked.wait(60)
        return take(copy, piece_bytes)

    monkeypatch.setattr(links.Copy, "next", late)
    there, here = os.pipe()
    with shardkv.open(a, write_timeout=60) as store:
        store.peers.add(b)
        assert copying.wait(60)
        pid = os.fork()
        if pid == 0:
            os.close(here)
            os.read(there, 1)  # until the parent is done
            os._exit(0)
        try:
            forked.set()
            store.put(b"k", b"1", ack="all")
        finally:
            os.close(here)
            os.waitpid(pid, 0)
            os.close(there)
    assert contents(b) == {b"k": b"1"}


def test_a_peer_whose_files_are_being_given_up_is_told_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told of another peer, and had a manifest again: the copy that should follow was refused."""
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    outrun(a, b)
    opened: list[shardkv.Store] = []
    ready, found = threading.Event(), list[bool]()

    def forget(path: str) -> None:
        places.forget(path)
        assert ready.wait(60)
        opened[0].peers.add(tmp_path / "c")
        found.append(places.holds_store(path))

    monkeypatch.setattr(links, "forget", forget)
    with shardkv.open(a, write_timeout=60) as store:
        opened.append(store)
        ready.set()
        store.put(b"k", b"1", ack="all")
        assert found == [False]
    assert contents(a) == contents(b)


def test_an_open_with_too_many_peers_lets_go_of_those_that_it_met(tmp_path: Path) -> None:
    """Their threads went on, and held the peers until the process ended."""
    a, *paths = (tmp_path / f"{number}" for number in range(10))
    family(a, *paths[:8])
    others = {*threading.enumerate()}
    with pytest.raises(shardkv.FullError, match="at most 8"):
        shardkv.open(a, peers=paths)
    mine = {*threading.enumerate()} - others
    assert "shardkv-peer" not in [each.name for each in mine]
    put(a, "k", ack="all")


def test_an_add_without_a_thread_leaves_no_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was kept as a peer that nobody shipped to, and twice after the next try."""
    a, b = tmp_path / "a", tmp_path / "b"

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with shardkv.open(a, shards=1) as store:
        with monkeypatch.context() as patch:
            patch.setattr(peers, "Link", fail)
            with pytest.raises(RuntimeError):
                store.peers.add(b)
        store.put(b"k", b"1", ack="all")  # of no peers
        store.peers.add(b)
        assert store.peers.lineage.members == (str(b),)
        store.put(b"k", b"2", ack="all")
    put(a, "last", ack="all")
