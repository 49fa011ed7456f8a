"""Slow, hanging, full, failing and vanished peers: nobody waits for them who did not ask to, and they come back."""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crash.children import Child, ChildDiedError
from crash.shim import Fault, settings

import shardkv

PATIENCE_S = 60.0
pytestmark = pytest.mark.unsanitized  # the shim is preloaded


class Family:
    """A store with the peers b and c in another process, where b's disk obeys the test."""

    def __init__(self, where: Path, shim: Path, fault: Fault) -> None:
        self.a, self.b, self.c = (where / name for name in "abc")
        self._hold, self.hit = where / "hold", where / "hit"
        faults = settings(self.b, fault, hold=self._hold, report=self.hit)
        self._child = Child(shim, faults, module="peers.child")

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        options = {
            "shards": 2,
            "segment_bytes": (64 << 10, 1 << 20),
            **more.pop("options", {}),
        }
        request = {"do": do, "path": str(self.a), "options": options, **more}
        answer = self._child.ask(request, PATIENCE_S)
        assert "finding" not in answer, answer
        return answer

    def open(self, **options: Any) -> None:
        peers = [str(self.b), str(self.c)]
        answer = self.ask("open", options={"peers": peers, **options})
        assert "error" not in answer, answer

    def put(self, ack: str, count: int = 1, size: int = 20, patience: float = 30) -> dict[str, Any]:
        return self.ask("put", ack=ack, count=count, bytes=size, patience=patience)

    def peer(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("status")["peers"][str(path)]
        return found

    def until(self, path: Path, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a peer's status is as wanted."""
        end = time.monotonic() + PATIENCE_S
        while not met(found := self.peer(path)):
            assert time.monotonic() < end, found
        return found

    def misbehave(self) -> None:
        self._hold.touch()

    def allow_one_call(self) -> None:
        """Of those that hang."""
        with self._hold.open("ab") as file:
            file.write(b".")

    def behave(self) -> None:
        self._hold.unlink(missing_ok=True)

    def end(self) -> None:
        self._child.kill()


@pytest.fixture
def family(request: pytest.FixtureRequest, scratch: Path, shim: Path) -> Iterator[Family]:
    found = Family(scratch, shim, request.param)
    try:
        yield found
    finally:
        found.end()
        found.behave()


HANGS = Fault("hang", 1, sticky=True)
FAILS = Fault("fail", 1, sticky=True)
FULL = Fault("fail", 1, sticky=True, error=errno.ENOSPC, classes="write,name,open")


def contents(path: Path) -> dict[bytes, bytes]:
    with shardkv.open(path, readonly=True) as store:
        rows = dict(store.scan())
        counts = [shard.records + shard.unflushed_records for shard in store.stats().shards]
        assert sum(counts) == len(rows)
        return rows


def check_equal(*paths: Path) -> dict[bytes, bytes]:
    first, *others = (contents(path) for path in paths)
    for path, rows in zip(paths[1:], others, strict=True):
        assert rows == first, f"{path} differs from {paths[0]}"
    return first


def is_current(peer: dict[str, Any]) -> bool:
    return bool(peer["state"] == "current" and peer["behind_records"] == 0)


@pytest.mark.parametrize("family", [HANGS, FAILS, FULL], indirect=True, ids=str)
def test_a_bad_peer_is_isolated_and_comes_back(family: Family) -> None:
    family.open()
    assert "error" not in family.put("all", 20)
    family.misbehave()
    for ack in ("memory", "disk", "quorum"):
        answer = family.put(ack, 200)
        assert "error" not in answer, answer
    told = family.put("all", patience=1)
    assert told["error"] == "AckError"
    assert told["seqno"] == "621"
    assert f"{family.b} is" in told["text"]
    bad = family.until(family.b, lambda peer: peer["state"] in ("behind", "failed"))
    assert bad["behind_records"] >= 600
    assert bad["seqno"] >= 20
    assert family.until(family.c, is_current)["seqno"] == 621
    family.behave()
    family.until(family.b, is_current)
    assert "error" not in family.put("all")
    assert "error" not in family.ask("close")
    assert len(check_equal(family.a, family.b, family.c)) == 622


def lagging(family: Family) -> dict[str, Any]:
    """Write until the peer is behind: what its disk was allowed to do is used up then."""
    end = time.monotonic() + PATIENCE_S
    while True:
        for ack in ("memory", "disk", "quorum"):
            answer = family.put(ack, 3)
            assert "error" not in answer, answer
        found = family.peer(family.b)
        if found["state"] == "behind" and found["behind_records"]:
            return found
        assert time.monotonic() < end, found


@pytest.mark.parametrize("family", [HANGS], indirect=True, ids=str)
def test_a_slow_peer_gets_on_and_nobody_waits_for_it_who_did_not_ask_to(family: Family) -> None:
    """Each call to its disk takes as long as the test likes, which is longer than any timeout."""
    family.open()
    assert "error" not in family.put("all", 20)
    family.misbehave()
    for _ in range(3):
        bad = lagging(family)
        since = bad["behind_s"]
        later = family.until(family.b, lambda peer, since=since: bool(peer["behind_s"] > since))
        assert later["state"] == "behind"
        assert later["seqno"] + later["behind_records"] == family.ask("status")["durable"]
        told = family.put("all", patience=1)
        assert told["error"] == "AckError"
        assert f"{family.b} is" in told["text"]
        while family.peer(family.b)["seqno"] == bad["seqno"]:
            family.allow_one_call()
    family.behave()
    family.until(family.b, is_current)
    assert "error" not in family.put("all")
    assert "error" not in family.ask("close")
    check_equal(family.a, family.b, family.c)


@pytest.mark.parametrize(
    "family", [Fault("hang", at, sticky=True) for at in (1, 9, 17, 25, 33)], indirect=True, ids=str
)
def test_a_peer_that_hangs_while_it_is_copied_keeps_nobody_from_closing(family: Family) -> None:
    """Its files were written inside a call of the store's, which waited for that call without end."""
    family.open(peers=[])
    assert "error" not in family.put("disk", 50)
    family.misbehave()
    assert "error" not in family.ask("peers", add=[str(family.b)])
    end = time.monotonic() + PATIENCE_S
    while not family.hit.exists():
        assert time.monotonic() < end
    assert family.peer(family.b)["state"] == "copying"
    assert "error" not in family.put("disk")
    assert "error" not in family.ask("close")
    assert len(contents(family.a)) == 51
    family.behave()
    family.open(ack="disk")
    family.until(family.b, is_current)  # who was left behind has ended, and let go of the directory
    assert "error" not in family.put("all")
    assert "error" not in family.ask("close")
    check_equal(family.a, family.b, family.c)


@pytest.mark.parametrize("family", [FAILS, FULL], indirect=True, ids=str)
def test_why_a_peer_failed_is_told_and_it_is_tried_ever_more_rarely(family: Family) -> None:
    family.open()
    assert "error" not in family.put("all", 20)
    family.misbehave()
    family.put("all", 5, patience=1)
    bad = family.until(family.b, lambda peer: peer["state"] == "failed" and bool(peer["why"]))
    assert bad["why"].split(":")[0] in ("DiskError", "PoisonedError", "FullError")
    family.ask("close")


@pytest.mark.parametrize("family", [HANGS, FAILS], indirect=True, ids=str)
def test_a_log_that_has_gone_on_without_a_peer_is_bounded_and_the_peer_is_copied_anew(
    family: Family,
) -> None:
    budget = 1 << 20
    family.open(unflushed_bytes=budget)
    assert "error" not in family.put("all", 20)
    family.misbehave()
    for _ in range(15):
        answer = family.put("disk", 20, 50_000)
        assert "error" not in answer, answer
    end = time.monotonic() + PATIENCE_S
    while (bytes_now := family.ask("status")["log_bytes"]) > 10 * budget:
        assert time.monotonic() < end, bytes_now
        family.put("disk")
    family.behave()
    family.until(family.b, is_current)
    assert "error" not in family.put("all")
    assert "error" not in family.ask("close")
    check_equal(family.a, family.b, family.c)


@pytest.mark.parametrize("family", [HANGS], indirect=True, ids=str)
def test_a_hanging_peer_keeps_nobody_from_closing_or_from_getting_records(family: Family) -> None:
    family.open()
    assert "error" not in family.put("all", 20)
    family.misbehave()
    assert "error" not in family.put("quorum", 100)
    answer = family.ask("close")
    assert "error" not in answer, answer
    assert answer["took"] < 30
    assert len(check_equal(family.a, family.c)) == 120
    with pytest.raises(ChildDiedError) as ended:
        family.ask("exit")
    assert ended.value.signal == 0
    family.behave()
    rows = contents(family.b)
    whole = contents(family.a)
    assert len(rows) >= 20
    assert rows == dict(list(sorted_by_number(whole))[: len(rows)]), "a prefix, whatever hung"


def sorted_by_number(rows: dict[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    yield from sorted(rows.items(), key=lambda row: int(row[0][4:]))


@pytest.mark.parametrize("family", [HANGS], indirect=True, ids=str)
def test_a_hanging_peer_that_was_removed_speaks_for_nobody_else(family: Family) -> None:
    """Another one got its place; when the hanging disk came back, its ack counted as the other's."""
    family.open()
    assert "error" not in family.put("all", 20)
    family.misbehave()
    assert "error" not in family.put("quorum", 100)
    assert "error" not in family.ask("peers", remove=[str(family.b)])
    assert set(family.ask("status")["peers"]) == {str(family.c)}
    assert "error" not in family.put("all")
    other = family.a.with_name("other")
    assert "error" not in family.ask("peers", add=[str(other)])
    family.behave()
    family.until(other, is_current)
    assert "error" not in family.put("all", 50)
    assert "error" not in family.ask("close")
    assert len(check_equal(family.a, family.c, other)) == 171
    assert len(contents(family.b)) <= 121


@pytest.mark.parametrize("family", [HANGS], indirect=True, ids=str)
def test_a_fork_and_an_exit_with_peers(family: Family) -> None:
    family.open(ack="all")
    assert "error" not in family.put("all", 20)
    assert family.ask("fork")["code"] == 7
    assert "error" not in family.put("all", 20)
    with pytest.raises(ChildDiedError) as ended:
        family.ask("exit")
    assert ended.value.signal == 0
    assert len(check_equal(family.a, family.b, family.c)) == 40


@pytest.mark.parametrize("how", ["removed", "emptied"])
@pytest.mark.parametrize("family", [HANGS], indirect=True, ids=str)
def test_a_peer_whose_files_are_taken_away_acks_nothing_more(family: Family, how: str) -> None:
    """Its log was written and synced as before, in files that had no name any more."""
    family.open()
    assert "error" not in family.put("all", 20)
    shutil.rmtree(family.b)
    if how == "emptied":
        family.b.mkdir()
    told = [family.put("all", patience=1) for _ in range(3)]
    lost = [answer for answer in told if "error" not in answer]
    family.until(family.b, is_current)
    assert "error" not in family.put("all")
    assert "error" not in family.ask("close")
    assert len(check_equal(family.a, family.b, family.c)) == 24
    assert not lost or all(answer["seqno"] > 20 for answer in lost)


def test_a_peer_that_cannot_be_added_leaves_the_manifest_as_it_was(tmp_path: Path) -> None:
    """It was written first, and no later opening could make a place for it."""
    a = tmp_path / "a"
    long = tmp_path / ("n" * 200) / ("m" * 100)
    long.parent.mkdir()
    with shardkv.open(a, shards=1) as store:
        with pytest.raises(shardkv.InvalidError, match="bytes"):
            store.peers.add(long)
        for number in range(8):
            store.peers.add(tmp_path / f"peer-{number}")
        with pytest.raises(shardkv.FullError, match="at most 8"):
            store.peers.add(tmp_path / "ninth")
        store.put(b"k", b"1", ack="all")
    with shardkv.open(a, ack="all") as store:
        assert len(store.peers) == 8
        store[b"k"] = b"2"
    with pytest.raises(shardkv.ClosedError), contextlib.suppress(shardkv.InvalidError):
        store.peers.add(tmp_path / "tenth")


def test_an_add_that_fails_counts_no_peer_and_gives_its_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise shardkv.DiskError("no")

    with shardkv.open(tmp_path / "a", shards=1) as store:
        with monkeypatch.context() as patch:
            patch.setattr(type(store.peers.engine), "save_lineage", fail)
            for number in range(9):
                with pytest.raises(shardkv.DiskError):
                    store.peers.add(tmp_path / f"peer-{number}")
        assert len(store.peers) == 0
        store.put(b"k", b"1", ack="all")
        store.peers.add(tmp_path / "b")
        store.put(b"k", b"2", ack="all")
    assert contents(tmp_path / "b") == {b"k": b"2"}
