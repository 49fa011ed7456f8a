"""Peers of an open store: what reaches them, what is waited for, what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import shardkv
from shardkv._native import look_at_lineage
from shardkv.lineage import unpacked
from shardkv.options import Ack

TIMEOUT_S = 30.0


def filled(store: shardkv.Store, count: int = 50) -> None:
    for i in range(count):
        store.put(f"key/{i}".encode(), os.urandom(20), ack="memory")


def contents(path: Path) -> dict[bytes, bytes]:
    with shardkv.open(path, readonly=True) as store:
        return dict(store.scan())


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tmp_path / "a", tmp_path / "b", tmp_path / "c"


@pytest.mark.parametrize("ack", ["quorum", "all"])
def test_what_was_acked_is_in_the_peers(places: tuple[Path, Path, Path], ack: Ack) -> None:
    a, b, c = places
    with shardkv.open(a, shards=2, peers=[b, c], ack=ack) as store:
        filled(store)
        store[b"last"] = b"one"
        with store.batch() as batch:
            batch.put(b"x", b"1")
            batch.delete(b"key/0")
        store.incr(b"count", 3)
        store.put_many({b"m": b"1", b"n": b"2"})
        seqno = store.submit(b"y", b"2").wait()
        reached = [peer.seqno >= seqno for peer in store.peers.status()]
        assert sum(reached) >= (2 if ack == "all" else 1)
        expected = dict(store.scan())
    assert contents(a) == contents(b) == contents(c) == expected


@pytest.mark.parametrize("ack", ["disk", "quorum", "all"])
def test_a_new_family_may_be_closed_at_once(places: tuple[Path, Path, Path], ack: Ack) -> None:
    a, b, c = places
    shardkv.open(a, shards=2, peers=[b, c], ack=ack).close()
    assert contents(b) == contents(c) == {}
    with shardkv.open(a, ack=ack) as store:
        store[b"first"] = b"1"
    assert contents(a) == contents(b) == contents(c) == {b"first": b"1"}


def test_peers_are_remembered_and_go_on(places: tuple[Path, Path, Path]) -> None:
    a, b, c = places
    with shardkv.open(a, shards=2, peers=[b, c], ack="all") as store:
        filled(store)
        store[b"first"] = b"1"
    with shardkv.open(a, ack="all") as store:
        assert set(store.peers) == {str(b), str(c)}
        store[b"second"] = b"2"
        assert all(peer.shipped_bytes for peer in store.peers.status())
        expected = dict(store.scan())
    assert contents(b) == contents(c) == expected


def test_peers_come_and_go_while_the_store_is_open(places: tuple[Path, Path, Path]) -> None:
    a, b, c = places
    with shardkv.open(a, shards=2) as store:
        filled(store)
        assert store.peers.status() == ()
        store.peers.add(b)
        store.peers.add(c)
        store.put(b"both", b"1", ack="all")
        store.peers.remove(c)
        store.put(b"one", b"1", ack="all")
        assert list(store.peers) == [str(b)]
    assert b"one" in contents(b)
    assert b"one" not in contents(c)
    assert b"both" in contents(c)
    with shardkv.open(a) as store:  # it was away, and goes on
        store.peers.add(c)
        store.put(b"again", b"1", ack="all")
    assert contents(c) == contents(b) == contents(a)


def test_a_level_that_cannot_be_reached_is_told(places: tuple[Path, Path, Path]) -> None:
    a, b, c = places
    with shardkv.open(a, shards=2, peers=[b, c], ack="all") as store:
        store[b"k"] = b"1"
    (c / "MANIFEST").write_bytes(b"not one")
    (c / "MANIFEST.bak").write_bytes(b"not one")
    with shardkv.open(a, ack="quorum") as store:
        seqno = store.put(b"k", b"2")
        with pytest.raises(
            shardkv.AckError, match=f"seqno {seqno + 1} is durable here and in . of 2"
        ) as told:
            store.put(b"k", b"3", ack="all")
        assert told.value.seqno == seqno + 1
        assert str(c) in str(told.value)
        assert store[b"k"] == b"3"
        failed = {peer.path: peer for peer in store.peers.status()}[str(c)]
        assert failed.state == "failed"
        assert "CorruptionError" in failed.why


def test_a_peer_is_written_to_by_its_primary_alone(places: tuple[Path, Path, Path]) -> None:
    a, b, _ = places
    with shardkv.open(a, shards=2, peers=[b], ack="all") as store:
        store[b"k"] = b"1"
        with pytest.raises(shardkv.LockedError):
            shardkv.open(b, readonly=True)
    with pytest.raises(shardkv.FencedError, match="is a peer"):
        shardkv.open(b)
    with shardkv.open(b, readonly=True) as peer:
        assert peer[b"k"] == b"1"
        with pytest.raises(shardkv.ReadOnlyError):
            peer.put(b"k", b"2")
    with shardkv.open(a, ack="all") as store:
        store[b"k"] = b"2"
    assert contents(b) == {b"k": b"2"}


def test_what_cannot_be_a_peer_is_refused_untouched(
    places: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    a, b, c = places
    with shardkv.open(b, shards=2) as other:
        other[b"k"] = b"other"
    c.mkdir()
    (c / "letter").write_text("dear")
    link = tmp_path / "link"
    link.symlink_to(a)
    with shardkv.open(a, shards=2) as store:
        for bad in (a, a / "inside", tmp_path, link, b, c, tmp_path / "no" / "parent"):
            with pytest.raises(shardkv.InvalidError):
                store.peers.add(bad)
        assert len(store.peers) == 0
        with pytest.raises(shardkv.InvalidError, match="no peer"):
            store.peers.remove(b)
    assert contents(b) == {b"k": b"other"}
    assert os.listdir(c) == ["letter"]
    with pytest.raises(shardkv.InvalidError):
        shardkv.open(a, peers=[b])
    with pytest.raises(TypeError, match="peers"):
        shardkv.open(a, peers=str(b))


def test_a_store_is_not_made_beside_peers_that_hold_one(places: tuple[Path, Path, Path]) -> None:
    a, b, _ = places
    with shardkv.open(a, shards=2, peers=[b], ack="all") as store:
        store[b"k"] = b"1"
    a.rename(a.with_name("gone"))
    with pytest.raises(shardkv.FencedError, match="promote"):
        shardkv.open(a, peers=[b])
    assert not a.exists()


def test_an_older_copy_of_the_primary_is_refused(places: tuple[Path, Path, Path]) -> None:
    a, b, _ = places
    with shardkv.open(a, shards=2, peers=[b], ack="all") as store:
        store[b"k"] = b"1"
    shardkv_copy = a.with_name("older")
    shutil.copytree(a, shardkv_copy)
    with shardkv.open(a, ack="all") as store:
        store[b"k"] = b"2"
    a.rename(a.with_name("newer"))
    shardkv_copy.rename(a)
    with pytest.raises(shardkv.FencedError, match="older copy"):
        shardkv.open(a)
    assert contents(b) == {b"k": b"2"}


def test_a_copy_that_lost_its_newest_records_takes_them_from_a_peer(
    places: tuple[Path, Path, Path],
) -> None:
    a, b, _ = places
    with shardkv.open(a, shards=2, peers=[b], ack="all") as store:
        store[b"k"] = b"1"
        store.sync()
        shutil.copytree(a, a.with_name("earlier"))
        store[b"k"] = b"2"
        store[b"l"] = b"3"
    a.rename(a.with_name("later"))
    a.with_name("earlier").rename(a)
    with shardkv.open(a) as store:
        assert dict(store.scan()) == {b"k": b"2", b"l": b"3"}
        store.put(b"m", b"4", ack="all")
    assert contents(b) == {b"k": b"2", b"l": b"3", b"m": b"4"}


def test_a_peer_ahead_whose_log_is_gone_is_refused_and_kept(
    places: tuple[Path, Path, Path],
) -> None:
    a, b, _ = places
    with shardkv.open(a, shards=2, peers=[b], ack="all") as store:
        store[b"k"] = b"1"
        store.sync()
        shutil.copytree(a, a.with_name("earlier"))
        store[b"k"] = b"2"
    with shardkv.open(b, readonly=True) as peer:
        peer.flush()
    contents(b)  # the log of what was flushed is given back
    a.rename(a.with_name("later"))
    a.with_name("earlier").rename(a)
    with shardkv.open(a) as store:
        store[b"k"] = b"3"
        with pytest.raises(shardkv.AckError):
            store.put(b"l", b"4", ack="all")
        (status,) = store.peers.status()
        assert status.state == "failed"
        assert "rejoin" in status.why
    assert contents(b) == {b"k": b"2"}


def test_a_peer_flushes_by_itself(places: tuple[Path, Path, Path]) -> None:
    a, b, _ = places
    value = os.urandom(1000)
    with shardkv.open(
        a, shards=2, peers=[b], unflushed_bytes=1 << 20, write_timeout=TIMEOUT_S
    ) as store:
        for i in range(10_000):  # ten times the budget
            store.put(f"{i % 500}".encode(), value, ack="memory")
        store.put(b"last", b"", ack="all")
    assert len(contents(b)) == 501


def test_the_manifest_knows_the_family(places: tuple[Path, Path, Path]) -> None:
    a, b, _ = places
    with shardkv.open(a, shards=2, peers=[b], ack="all") as store:
        store[b"k"] = b"1"

    one, other = look_at_lineage(str(a)), look_at_lineage(str(b))
    assert one
    assert other
    primary, peer = unpacked(one), unpacked(other)
    assert primary
    assert peer
    assert (primary.family, primary.history) == (peer.family, peer.history)
    assert (primary.role, peer.role) == ("primary", "peer")
    assert primary.members == (str(b),)
    assert look_at_lineage(str(a / "none")) is None


def test_a_peer_may_have_any_name(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/peer \xff")
    with shardkv.open(tmp_path / "a", shards=1, peers=[name]) as store:
        store.put(b"k", b"v", ack="all")
    with shardkv.open(tmp_path / "a") as store:
        assert list(store.peers) == [name]
    assert shardkv.promote(name, tmp_path / "a").members == (str(tmp_path / "a"),)


def test_looking_at_a_directory_of_a_family_leaves_no_files(
    places: tuple[Path, Path, Path],
) -> None:
    """Each look left a log segment of 4 MiB: thousands of them, and it could not be opened any more."""
    a, b, _ = places
    with shardkv.open(a, shards=1, peers=[b], ack="all") as store:
        store[b"key"] = b"value"
    for place in (a, b):
        before = len(os.listdir(place / "log"))
        for _ in range(4):
            assert contents(place) == {b"key": b"value"}
        assert len(os.listdir(place / "log")) <= before
