"""Fencing: two primaries of one family, in any order, and never a record of one after records of the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from peers.families import WAIT_S, Away, contents, copied, family, lineage, put

import shardkv
from shardkv import lineage as lineage_module
from shardkv import links, peers
from shardkv._native import Engine
from shardkv.peers import Peers

Places = tuple[Path, Path, Path]


@pytest.fixture
def split(tmp_path: Path) -> Places:
    """An old primary that wrote on, and a promoted peer that was not connected to it; c follows neither yet."""
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    family(a, b, c)
    with Away(b, c):
        put(a, "old")
    with Away(a, c):
        shardkv.promote(b, force=True)
    return a, b, c


def test_the_new_primary_first_then_the_old_one(split: Places) -> None:
    a, b, c = split
    put(b, "new", ack="all")
    with pytest.raises(shardkv.FencedError):
        shardkv.open(a)
    with Away(b), pytest.raises(shardkv.FencedError, match=f"{c} has seen epoch"):
        shardkv.open(a)
    assert set(contents(c)) == {b"k0", b"k1", b"k2", b"new"}


def test_the_old_primary_first_then_the_new_one(split: Places) -> None:
    a, b, c = split
    with Away(b):
        put(a, "older", ack="quorum")  # c goes with the old one
    put(b, "new")
    with shardkv.open(b) as store:
        with pytest.raises(shardkv.AckError, match="of 1 peers"):
            store.put(b"x", b"1", ack="all")
        (status,) = store.peers.status()
        assert status.state == "failed"
        assert "shardkv.rejoin exports" in status.why
    assert set(contents(c)) == {b"k0", b"k1", b"k2", b"old", b"older"}
    assert b"older" not in contents(b)


def test_both_live_at_once(split: Places) -> None:
    a, b, c = split
    with Away(b):
        old = shardkv.open(a)
        old.put(b"x", b"a", ack="quorum")
    with shardkv.open(b) as new:
        new.put(b"x", b"b")
        with pytest.raises(shardkv.AckError):
            new.put(b"y", b"b", ack="all")  # the old one holds c
        old.put(b"y", b"a", ack="quorum")
    old.close()
    assert contents(c) == contents(a)
    assert contents(b)[b"x"] == b"b"
    with pytest.raises(shardkv.FencedError):
        shardkv.open(a)


def test_a_peer_in_other_hands_fences_too(split: Places) -> None:
    """The old primary saw that c was in use, and did not look at what c knows."""
    a, b, c = split
    put(b, "new", ack="all")
    with Away(b), shardkv.open(c, readonly=True):
        with pytest.raises(shardkv.FencedError, match=f"{c} has seen epoch"):
            shardkv.open(a)


def test_what_a_peer_knows_is_looked_at_once_it_is_held(
    split: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a peer and its lock another primary wrote to it: they were taken for its own."""
    a, b, c = split
    engine, before = links.Engine, copied(c, "before")
    put(b, "new", ack="all")
    after = c.rename(c.with_name("after"))
    before.rename(c)

    def late(path: str, options: shardkv.Options) -> Engine:
        if path == str(c) and after.exists():
            c.rename(before)
            after.rename(c)
        return engine(path, options)

    monkeypatch.setattr(links, "Engine", late)
    with Away(b), pytest.raises(shardkv.FencedError, match=f"{c} has seen epoch"):
        put(a, "older")
    assert not after.exists()
    assert set(contents(c)) == {b"k0", b"k1", b"k2", b"new"}


def test_a_connected_peer_cannot_be_promoted_and_a_disconnected_one_is_left_alone_from_then_on(
    tmp_path: Path,
) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    family(a, b, c)
    with Away(b):
        old = shardkv.open(a)
        old.put(b"x", b"1", ack="quorum")
    with pytest.raises(shardkv.LockedError):
        shardkv.promote(c, b, force=True)
    shardkv.promote(b, force=True)
    before = contents(b)
    old.put(b"y", b"2", ack="quorum")
    with pytest.raises(shardkv.AckError):
        old.put(b"z", b"3", ack="all")
    old.close()
    assert contents(b) == before
    with pytest.raises(shardkv.FencedError):
        shardkv.open(a)


def test_a_peer_of_a_newer_epoch_is_not_added(split: Places) -> None:
    a, b, c = split
    put(b, "new", ack="all")
    with Away(b, c), shardkv.open(a) as store:
        store.peers.remove(c)
    with (
        Away(b),
        shardkv.open(a) as store,
        pytest.raises(shardkv.FencedError, match="has seen epoch"),
    ):
        store.peers.add(c)
    assert set(contents(c)) == {b"k0", b"k1", b"k2", b"new"}


def test_a_store_without_peers_begins_an_epoch_too(tmp_path: Path) -> None:
    """A peer that was let go had records that the store lost; others were written in their place; it came back."""
    a, c = tmp_path / "a", tmp_path / "c"
    family(a, c)
    with shardkv.open(a, ack="all") as store:
        store.sync()
    earlier = copied(a, "earlier")
    with shardkv.open(a) as store:
        store.put(b"x", b"lost", ack="all")
        store.peers.remove(c)
    a.rename(a.with_name("gone"))
    earlier.rename(a)
    with Away(c), shardkv.open(a) as store:
        store.peers.remove(c)
    for key in ("x", "y", "z"):
        put(a, key)
    with shardkv.open(a) as store:
        store.peers.add(c)
        with pytest.raises(shardkv.AckError):
            store.put(b"last", b"1", ack="all")
    assert contents(c)[b"x"] == b"lost"
    assert lineage(c).epoch < lineage(a).epoch


def test_a_peer_that_is_met_late_is_not_won_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old primary began an epoch above the promoted one that it was told of too late to be refused."""
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    family(a, b, c)
    with Away(a):
        shardkv.promote(b, c)
    looked, look, refuse = threading.Event(), links.look_at_lineage, peers.refuse_unsure

    def late(path: str) -> bytes | None:
        assert looked.wait(WAIT_S)
        return look(path)

    def too_early(head: Peers, met: dict[str, links.Link], *rest: Any, **more: Any) -> None:
        refuse(head, met, *rest, **more)
        looked.set()
        assert all(link.greeted.wait(WAIT_S) for link in met.values())

    with monkeypatch.context() as patch:
        patch.setattr(peers, "CONTACT_S", 0.0)
        patch.setattr(links, "look_at_lineage", late)
        patch.setattr(peers, "refuse_unsure", too_early)
        with Away(b), shardkv.open(a) as store:
            with pytest.raises(shardkv.AckError):
                store.put(b"x", b"1", ack="quorum")
            why = {peer.path: peer.why for peer in store.peers.status()}
    assert "another directory was promoted" in why[str(c)]
    put(b, "new", ack="all")
    assert contents(c) == contents(b)


def test_a_store_may_be_opened_more_often_than_its_history_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the 129th opening that wrote on, all peers were refused, and no promotion found a majority."""
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    monkeypatch.setattr(lineage_module, "EPOCHS_KEPT", 4)
    family(a, b, c)
    for number in range(8):
        put(a, f"{number}", ack="all")
    with Away(c):
        put(a, "8", "9")
    put(a, "10", ack="all")
    with Away(c):
        put(a, "11")
    assert shardkv.promote(b, c, a).taken == 0
    put(b, "12", ack="all")
    assert contents(a) == contents(b) == contents(c)
