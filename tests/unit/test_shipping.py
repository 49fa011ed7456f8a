"""Shipping between two engines, without the thread that looks after a peer: what is said, kept and given back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from peers.families import WAIT_S, contents, copied

import shardkv
from shardkv._native import ALL, COPYING, DOWN, QUORUM, STATES, Engine, Ship
from shardkv.options import Options
from shardkv.standings import held

VALUE = bytes(50_000)
SEGMENTS = 64 << 10, 256 << 10
YEAR_MS = 365 * 86400 * 1000


class Pair(NamedTuple):
    """An open store, and a copy of it that is open as following."""

    store: shardkv.Store
    peer: Engine
    place: int

    @property
    def engine(self) -> Engine:
        return self.store.peers.engine

    def status(self) -> tuple[str, int]:
        known = self.engine.peer(self.place)
        return STATES[known.state], known.seqno

    def fill(self) -> None:
        """Write several segments of log, and flush them."""
        for number in range(40):
            self.store.put(b"%d" % number, VALUE, ack="memory")
        self.store.flush()

    def oldest(self) -> int:
        """Return the first record of the log."""
        return self.store.stats().log.oldest_seqno

    def until_gone(self, seqno: int) -> None:
        end = time.monotonic() + WAIT_S
        while self.oldest() <= seqno:
            assert time.monotonic() < end, "the log is kept for nobody"

    @contextlib.contextmanager
    def shipping(self, ship: Ship) -> Iterator[None]:
        def run() -> None:
            with contextlib.suppress(shardkv.ClosedError):
                ship.run()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ship.stop()
            thread.join()


@contextlib.contextmanager
def opened(a: Path, b: Path) -> Iterator[Pair]:
    with (
        shardkv.open(a, segment_bytes=SEGMENTS, write_timeout=WAIT_S) as store,
        held(str(b)) as peer,
    ):
        yield Pair(store, peer, store.peers.engine.add_peer("b"))


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    """A store with one record, and a copy of it."""
    a = tmp_path / "a"
    with shardkv.open(
        a, shards=1, retain_log_bytes=0, segment_bytes=(64 << 10, 256 << 10)
    ) as store:
        store[b"k"] = b"1"
    return a, copied(a, "b")


@pytest.fixture
def pair(paths: tuple[Path, Path]) -> Iterator[Pair]:
    with opened(*paths) as found:
        yield found


@pytest.mark.parametrize("state", [DOWN, COPYING])
def test_who_is_shipped_to_has_what_was_found_there(pair: Pair, state: int) -> None:
    pair.engine.set_peer(pair.place, state, 0)
    ship = Ship(pair.engine, pair.place, pair.peer)
    assert pair.status() == ("behind", 1)
    with pair.shipping(ship):
        assert pair.store.put(b"k", b"2", ack="all") == 2
        assert pair.status() == ("current", 2)
    ship.close()


def test_the_log_is_kept_from_the_first_record_that_the_peer_lacks(pair: Pair) -> None:
    ship = Ship(pair.engine, pair.place, pair.peer)
    pair.fill()
    pair.fill()  # what the first one left is given back
    assert pair.oldest() == 2
    ship.close()
    pair.until_gone(2)


def test_the_log_that_was_shipped_is_given_back_when_nobody_writes_any_more(pair: Pair) -> None:
    ship = Ship(pair.engine, pair.place, pair.peer)
    pair.fill()
    with pair.shipping(ship):
        pair.until_gone(2)
        pair.store.put(b"last", b"1", ack="all")
    ship.close()


def test_a_peer_that_has_more_is_refused_and_nothing_is_kept_for_it(
    paths: tuple[Path, Path],
) -> None:
    a, b = paths
    earlier = copied(a, "earlier")
    with shardkv.open(a) as store:
        store[b"k"] = b"2"
    with opened(earlier, copied(a, "ahead")) as pair:
        with pytest.raises(shardkv.InvalidError, match="seqno 2 already"):
            Ship(pair.engine, pair.place, pair.peer)
        pair.fill()
        pair.until_gone(3)
    assert contents(b) == {b"k": b"1"}


def test_what_has_expired_for_the_store_has_expired_for_the_peer(pair: Pair) -> None:
    pair.engine.shift_clock(10 * YEAR_MS)
    now = pair.engine.clock_ms()
    ship = Ship(pair.engine, pair.place, pair.peer)
    with pair.shipping(ship):
        pair.store.put(b"k", b"2", ack="all")
    ship.close()
    assert pair.peer.clock_ms() >= now


def test_what_was_durable_before_the_store_was_opened_is_acked(pair: Pair) -> None:
    pair.engine.set_peer(pair.place, COPYING, 1)
    for level in (QUORUM, ALL):
        pair.engine.reach(1, level, 0)


def test_what_was_taken_back_from_a_peer_is_durable(paths: tuple[Path, Path]) -> None:
    a, b = paths
    with shardkv.open(a, retain_log_bytes=1 << 30) as store:
        store[b"k"] = b"2"
    behind = Engine(str(b), Options(create=False, following=True))  # no loop of it syncs anything
    with held(str(a)) as ahead:
        behind.ship_back(ahead)
    assert (behind.last_seqno(), behind.durable_seqno()) == (2, 2)
    behind.stop()
    behind.close()


def test_who_only_reads_changes_nothing_of_the_family(paths: tuple[Path, Path]) -> None:
    with shardkv.open(paths[0], readonly=True) as store:
        with pytest.raises(shardkv.ReadOnlyError):
            store.peers.engine.save_lineage(b"x")
        with pytest.raises(shardkv.ReadOnlyError):
            store.peers.add(paths[0].with_name("c"))
        assert store.peers.engine.lineage() == b""
