"""The thread behind a peer: when it tries again, when it rests, and that nobody waits where it hangs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest

import shardkv
from shardkv import links, peers
from shardkv._native import Copy, Engine, PeerCounters
from shardkv.links import Link
from shardkv.peers import Peers

PATIENCE_S = 120.0


class Head:
    """As much of a store as a link looks at; nothing is shipped."""

    def __init__(self) -> None:
        self.path, self.engine = "nowhere", cast(Engine, self)
        self.lineage: Any = SimpleNamespace(as_peer=lambda *_: SimpleNamespace(packed=lambda: b""))
        self.current_s, self.newest = 0.0, 0

    def peer(self, _: int) -> PeerCounters:
        return PeerCounters(0, 0, 0, 0, self.current_s)

    def set_peer(self, *_: object) -> None:
        pass

    def release_peer(self, _: int) -> None:
        pass

    def durable_seqno(self) -> int:
        self.newest += 1
        return self.newest


def ended(head: Head, path: Path, wait: Callable[[Link, float], None], now: list[float]) -> Link:
    """Run a link that asks `wait` to wait, until that tells it to stop."""
    begun = threading.Event()

    def wait_here(seconds: float) -> None:
        begun.wait(PATIENCE_S)
        wait(link, seconds)

    link = Link(head, str(path), 0, clock=lambda: now[0], wait=wait_here)
    begun.set()
    link.go.set()
    link._thread.join(PATIENCE_S)
    assert not link._thread.is_alive()
    return link


# -- trying again


def damaged(path: Path) -> Path:
    path.mkdir()
    (path / "MANIFEST").write_bytes(b"not one")
    return path


def test_a_failed_peer_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    waits: list[float] = []

    def wait(link: Link, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            link.stop()

    link = ended(Head(), damaged(tmp_path / "b"), wait, [0.0])
    assert "CorruptionError" in link.why
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_peer_that_was_well_for_long_is_tried_again_at_once(tmp_path: Path) -> None:
    head, now, waits = Head(), [0.0], list[float]()

    def wait(link: Link, seconds: float) -> None:
        waits.append(seconds)
        # It was current: too short a time first, then long enough.
        head.current_s = now[0] + {3: 29.0, 5: 31.0}.get(len(waits), 0.0)
        if len(waits) == 8:
            link.stop()

    ended(head, damaged(tmp_path / "b"), wait, now)
    assert waits == [0.25, 0.5, 1, 2, 4, 0.25, 0.5, 1]


# -- resting


class Pieces:
    """A copy of three pieces of shards and two of the log, each of which takes a tenth of a second."""

    def __init__(self, now: list[float]) -> None:
        self.seqno = self.bytes = self.done = self.total = 0
        self.sizes: list[int] = []
        self._now = now

    def of(self, *_: object) -> Self:
        return self

    def next(self, piece_bytes: int) -> bool:
        self.sizes.append(piece_bytes)
        self._now[0] += 0.1
        self.seqno = 9 if len(self.sizes) >= 4 else 0
        if len(self.sizes) == 6:
            raise shardkv.ClosedError("enough")
        return True

    def close(self) -> None:
        pass


def test_a_copy_rests_between_the_pieces_of_shards_and_not_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waits = [0.0], list[float]()
    copy = Pieces(now)
    monkeypatch.setattr(links, "Copy", copy)

    def wait(link: Link, seconds: float) -> None:
        waits.append(seconds)
        if len(copy.sizes) == 6:
            link.stop()

    ended(Head(), tmp_path / "b", wait, now)
    assert waits == pytest.approx([0.2, 0.2, 0.2, 0.25])
    assert copy.sizes == [links.PIECE_BYTES] * 4 + [0, 0]


# -- the end


class Ahead:
    """A link as a store that closes sees it: it gets on until some moment, then stands still, or has everything."""

    def __init__(self, now: list[float], until: float, whole: float = 1e9) -> None:
        self._now, self._until, self._whole = now, until, whole

    def lacks(self, _: int) -> bool:
        return self._now[0] < self._whole

    def progress(self) -> float:
        return min(self._now[0], self._until)


@pytest.mark.parametrize(
    ("others", "took"),
    [
        ([], 0),
        ([(0, 0)], 0),  # has everything
        ([(0, 1e9)], 1),  # hangs
        ([(2.5, 1e9)], 3.5),  # hangs after a while
        ([(1e9, 2.5)], 2.5),  # gets there
        ([(1e9, 1e9)], 5),  # is too slow
        ([(0, 1e9), (1e9, 3)], 3),  # one that hangs beside one that gets there
    ],
)
def test_a_close_waits_for_peers_that_get_on_and_a_second_for_one_that_does_not(
    others: list[tuple[float, float]], took: float
) -> None:
    now = [0.0]
    engine = SimpleNamespace(lineage=lambda: b"", last_seqno=lambda: 9)
    family = Peers("a", cast(Engine, engine))
    family._links = {str(n): cast(Link, Ahead(now, *at)) for n, at in enumerate(others)}

    def wait(seconds: float) -> None:
        now[0] += seconds

    family.drain(clock=lambda: now[0], wait=wait)
    assert now[0] == pytest.approx(took, abs=0.02)


# -- hanging


class Gate:
    """Where a peer's threads hang, once it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._shut, self.reached, self.opened = (threading.Event() for _ in range(3))

    def shut(self) -> None:
        for limit in ("CONTACT_S", "STILL_S", "CLOSE_S", "TELL_S"):
            self._patch.setattr(peers, limit, 0.0)
        self._shut.set()

    def at(self, owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def hang(*given: Any, **more: Any) -> Any:
            if self._shut.is_set() and threading.current_thread().name.startswith("shardkv-peer"):
                self.reached.set()
                self.opened.wait(PATIENCE_S)
            return inner(*given, **more)

        self._patch.setattr(owner, name, hang)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    found = Gate(monkeypatch)
    yield found
    found.opened.set()


def hangs_when_opened(a: Path, b: Path, gate: Gate) -> shardkv.Store:
    with shardkv.open(a, shards=1, peers=[b], ack="all") as store:
        store[b"k"] = b"1"
    gate.at(links, "look_at_lineage")
    gate.shut()
    return shardkv.open(a)


def hangs_when_copied(a: Path, b: Path, gate: Gate) -> shardkv.Store:
    store = shardkv.open(a, shards=1)
    gate.at(Copy, "next")
    gate.shut()
    store.peers.add(b)
    return store


def hangs_when_told(a: Path, b: Path, gate: Gate) -> shardkv.Store:
    store = shardkv.open(a, shards=1, peers=[b], ack="all")
    store.put(b"k", b"1")
    gate.at(Engine, "save_lineage")
    gate.shut()
    store.peers.add(b.with_name("c"))
    return store


def hangs_when_parted_from(a: Path, b: Path, gate: Gate) -> shardkv.Store:
    store = shardkv.open(a, shards=1, peers=[b], ack="all")
    store.put(b"k", b"1")
    gate.at(Engine, "stop")
    gate.shut()
    shutil.rmtree(b)
    store.put(b"k", b"2", ack="disk")
    return store


HANGS = [hangs_when_opened, hangs_when_copied, hangs_when_told, hangs_when_parted_from]


def in_time(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE_S / 3)
    assert not thread.is_alive(), "waits for the peer that hangs"


@pytest.mark.parametrize("hanging", HANGS)
def test_who_looks_at_a_peer_that_hangs_and_who_closes_beside_it_does_not_wait(
    tmp_path: Path, gate: Gate, hanging: Callable[[Path, Path, Gate], shardkv.Store]
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    store = hanging(a, b, gate)
    assert gate.reached.wait(PATIENCE_S)
    found: list[str] = []
    in_time(lambda: found.extend(peer.path for peer in store.peers.status()))
    in_time(lambda: found.extend(peer.path for peer in store.stats().peers))
    in_time(lambda: found.append(repr(store.peers)))
    assert found[0] == str(b)
    in_time(lambda: store.put(b"k", b"3", ack="disk"))
    in_time(store.close)
    assert not gate.opened.is_set()
    with shardkv.open(a, readonly=True) as again:
        assert again[b"k"] == b"3"
