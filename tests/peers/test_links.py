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
from shardkv._native import COPYING, CURRENT, DOWN, STATES, Copy, Engine, PeerCounters, Ship
from shardkv.links import Link
from shardkv.peers import Peers

PATIENCE_S = 120.0


class Head:
    """As much of a store as a link looks at; nothing is shipped."""

    def __init__(self) -> None:
        self.path, self.engine = "nowhere", cast(Engine, self)
        self.lineage: Any = SimpleNamespace(as_peer=lambda *_: SimpleNamespace(packed=lambda: b""))
        self.current_s, self.newest = 0.0, 0
        self.known: PeerCounters | None = None
        self.told: list[tuple[int, int]] = []

    def peer(self, _: int) -> PeerCounters:
        return self.known or PeerCounters(DOWN, 4, 0, 0, self.current_s)

    def set_peer(self, _: int, state: int, seqno: int) -> None:
        self.told.append((state, seqno))

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


@pytest.mark.parametrize("kind", [shardkv.DiskError, OSError, MemoryError])
def test_whatever_fails_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    head, waits, parting = Head(), list[float](), list[bool]()

    def fail(path: str) -> bool:
        if len(waits) == 2:
            link.stop()
        raise kind(path)

    def wait(it: Link, seconds: float) -> None:
        nonlocal link
        link = it
        waits.append(seconds)
        assert link.greeted.is_set(), "nobody waits for what is known to fail"

    link: Link
    monkeypatch.setattr(links, "holds_store", fail)
    monkeypatch.setattr(Link, "_part", lambda it: parting.append(it._parting.is_set()))
    link = ended(head, tmp_path / "b", wait, [0.0])
    assert link.why.startswith(kind.__name__)
    assert head.told == [(DOWN, 4)] * 3, "what it has, it has"
    assert parting == [False, False, True], "who is told to end says so before a disk can hang"


def test_a_link_that_is_stopped_between_two_tries_ends_at_once(tmp_path: Path) -> None:
    link = ended(Head(), damaged(tmp_path / "b"), lambda link, _: link.stop(), [0.0])
    assert link._parting.is_set()


# -- what is said of it

BEHIND = next(state for state, name in STATES.items() if name == "behind")


@pytest.fixture
def link(tmp_path: Path) -> Link:
    """One that failed, begun at 100.0 by its clock, which stands at 130.0 now; the store has 10 records."""
    now = [100.0]
    link = ended(Head(), damaged(tmp_path / "b"), lambda link, _: link.stop(), now)
    now[0] = 130.0
    return link


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (PeerCounters(BEHIND, 4, 0, 0, 0.0), ("behind", 6, 30.0, False)),  # it never had everything
        (PeerCounters(BEHIND, 4, 0, 0, 129.0), ("behind", 6, 1.0, False)),
        (PeerCounters(CURRENT, 4, 0, 0, 128.0), ("current", 6, 2.0, False)),
        (PeerCounters(CURRENT, 4, 0, 0, 127.0), ("behind", 6, 3.0, False)),  # it hangs
        (PeerCounters(CURRENT, 10, 0, 0, 120.0), ("current", 0, 0.0, False)),
        (
            PeerCounters(CURRENT, 12, 0, 0, 120.0),
            ("current", 0, 0.0, False),
        ),  # its disk was quicker
        (PeerCounters(DOWN, 4, 0, 0, 129.0), ("failed", 6, 1.0, True)),
        (PeerCounters(COPYING, 0, 0, 0, 129.0), ("copying", 10, 1.0, False)),
    ],
)
def test_how_it_is_with_a_peer(
    link: Link, known: PeerCounters, said: tuple[str, int, float, bool]
) -> None:
    head = cast(Head, link._head)
    head.known, head.newest = known, 9
    status = link.status()
    assert (status.state, status.behind_records, status.behind_s, bool(status.why)) == said


def test_who_is_waited_for_by_a_close(link: Link) -> None:
    head = cast(Head, link._head)
    lacking = {
        PeerCounters(CURRENT, 9, 0, 0, 1.0): True,
        PeerCounters(CURRENT, 10, 0, 0, 1.0): False,
        PeerCounters(BEHIND, 10, 0, 0, 1.0): True,
        PeerCounters(COPYING, 10, 0, 0, 1.0): True,
        PeerCounters(DOWN, 4, 0, 0, 1.0): False,
    }
    for head.known, lacks in lacking.items():
        assert link.lacks(10) == lacks
    link.go.clear()  # the open has failed
    for head.known in lacking:
        assert not link.lacks(10)


def test_a_peer_gets_on_when_its_state_its_seqno_or_its_copy_does(link: Link) -> None:
    head = cast(Head, link._head)
    seen = [link.progress()]
    for head.known in (PeerCounters(BEHIND, 4, 0, 0, 0.0), PeerCounters(BEHIND, 5, 0, 0, 0.0)):
        seen.append(link.progress())
    for link._copy in (SimpleNamespace(bytes=1), SimpleNamespace(bytes=2)):  # type: ignore[assignment]
        seen.append(link.progress())
    assert len(set(seen)) == 5


def test_a_peer_whose_disk_fails_to_the_end_is_let_go_of(link: Link) -> None:
    def fail() -> None:
        raise shardkv.DiskError("no")

    link.peer = cast(Engine, SimpleNamespace(stop=fail, close=fail))
    link._part()
    assert link.peer is None


def test_a_forked_child_leaves_the_peer_alone(link: Link) -> None:
    told: list[str] = []
    family = Peers("a", cast(Engine, SimpleNamespace(lineage=lambda: b"")))
    family._links = {"b": link}
    family.forked()  # there is nothing to leave alone
    link.peer = cast(Engine, SimpleNamespace(forked=lambda: told.append("b")))
    family.forked()
    assert told == ["b"]


# -- resting


class Pieces:
    """A copy of three pieces of shards and two of the log, each of which takes a tenth of a second."""

    def __init__(self, now: list[float]) -> None:
        self.seqno, self.bytes, self.done, self.total = 0, 0, 1, 3
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

    head = Head()
    link = ended(head, tmp_path / "b", wait, now)
    assert waits == pytest.approx([0.2, 0.2, 0.2, 0.25])
    assert copy.sizes == [links.PIECE_BYTES] * 4 + [0, 0]
    assert head.told[0] == (COPYING, 0), "what was there is given up"
    assert link.status().done == 0, "nothing is copied any more"


def test_a_copy_ends_when_the_link_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    copy = Pieces(now)
    monkeypatch.setattr(links, "Copy", copy)
    ended(Head(), tmp_path / "b", lambda link, _: link.stop(), now)
    assert copy.sizes == [links.PIECE_BYTES] * 2


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


def test_a_link_that_was_stopped_before_it_ships_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with shardkv.open(a, shards=1) as store:

        def ship(*given: Any) -> Ship:
            found = Ship(*given)
            store.peers._links[str(b)].stop()  # there is nothing to stop yet
            return found

        monkeypatch.setattr(links, "Ship", ship)
        store.peers.add(b)
        in_time(store.peers._links[str(b)]._thread.join)


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


def test_a_copy_that_takes_long_leaves_the_log_short(tmp_path: Path, gate: Gate) -> None:
    """What a copy needs of the log is retained: it takes no memory, and no open has to read it."""
    with shardkv.open(tmp_path / "a", **SMALL) as store:
        gate.at(Copy, "next")
        gate.shut()
        store.peers.add(tmp_path / "b")
        assert gate.reached.wait(PATIENCE_S)
        write_and_flush(store)
        while store.stats().log.segments > 5:
            pass
        assert store.stats().log.retained_bytes > 500_000
        gate.opened.set()


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
    for value in (b"1", b"2"):  # the first may be acked by the copy, with files still to be made
        store.put(b"k", value)
    gate.at(Engine, "stop")
    gate.shut()
    while b.exists():  # its log's next segment may be made just now
        shutil.rmtree(b, ignore_errors=True)
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


SMALL = {"shards": 3, "segment_bytes": (65536, 65536)}


def with_a_peer(tmp_path: Path) -> Path:
    """Return the path of a store that has a peer, which has everything."""
    path = tmp_path / "store"
    with shardkv.open(path, peers=[tmp_path / "peer"], **SMALL) as store:
        store.put(b"old", b"1", ack="all")
    return path


def write_and_flush(store: shardkv.Store) -> None:
    """Write segments of the log that the store itself needs no more."""
    for _ in range(3):
        store.put_many([(b"%d" % n, bytes(1000)) for n in range(300)], ack="memory")
        store.flush()


def test_the_log_is_kept_until_a_peer_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wrote and flushed before the links began had all peers copied anew; until that ended they held nothing."""
    path = with_a_peer(tmp_path)
    go, follow = threading.Event(), Link._follow

    def late(link: Link) -> None:
        assert go.wait(PATIENCE_S)
        follow(link)

    def refuse(*_: object) -> Copy:
        raise AssertionError("the peer is copied anew")

    monkeypatch.setattr(Link, "_follow", late)
    monkeypatch.setattr(links.Copy, "of", refuse)
    with shardkv.open(path, **SMALL) as store:
        write_and_flush(store)
        go.set()
        store.put(b"new", b"1", ack="all")


def test_the_log_is_not_kept_for_a_peer_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_a_peer(tmp_path)

    def fail(_: Link) -> None:
        raise shardkv.DiskError("gone")

    monkeypatch.setattr(Link, "_open", fail)
    with shardkv.open(path, **SMALL) as store:
        while store.peers.status()[0].state != "failed":
            pass
        write_and_flush(store)
        while store.stats().log.oldest_seqno < 300:
            pass
