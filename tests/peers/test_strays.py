"""Stray copies of a primary, made with cp -r, with the same peers: in whatever order the two go on, one of them is
refused or both are the same, and no directory ever holds records of one behind records of the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from peers.families import Away, contents, copied, family, put

import shardkv

Rows = dict[bytes, bytes]


def says(path: Path, word: str, *, ack: shardkv.options.Ack = "disk") -> Rows:
    """Open a primary, put what only it has, then a record that both have under the same seqno; return all rows."""
    with shardkv.open(path, ack=ack) as store:
        store.put(b"which", word.encode())
        store.put(b"last", b"the same")
        return dict(store)


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path]:
    """A primary whose peers are b and c, and a copy of it."""
    a = tmp_path / "a"
    family(a, tmp_path / "b", tmp_path / "c")
    return a, copied(a, "stray")


@pytest.mark.parametrize("original_first", [True, False])
def test_who_comes_second_is_refused(twins: tuple[Path, Path], original_first: bool) -> None:
    first, second = twins if original_first else twins[::-1]
    rows = says(first, "first", ack="all")
    before = contents(second)
    for ack in ("disk", "quorum"):
        with pytest.raises(shardkv.FencedError, match="older copy"):
            shardkv.open(second, ack=ack)
    for name in "bc":
        assert contents(first.with_name(name)) == rows
    assert contents(second) == before


@pytest.mark.parametrize("original_first", [True, False])
@pytest.mark.parametrize("original_wins", [True, False])
def test_two_that_both_went_on_alone_share_no_peer(
    twins: tuple[Path, Path], original_first: bool, original_wins: bool
) -> None:
    """Each began an epoch of its own with the same number, and the same record is the newest of both."""
    peers = [twins[0].with_name(name) for name in "bc"]
    with Away(*peers):
        for path in twins if original_first else twins[::-1]:
            says(path, path.name)
    winner, loser = twins if original_wins else twins[::-1]
    put(winner, "won", ack="all")
    rows = contents(winner)
    before = contents(loser)
    with pytest.raises(shardkv.FencedError):
        shardkv.open(loser)
    assert contents(peers[0]) == contents(peers[1]) == rows
    assert contents(loser) == before
    done = shardkv.rejoin(loser, loser.with_name("export"), primary=winner)
    assert (done.common_seqno, done.records) == (3, 2)
    with shardkv.open(winner) as store:
        store.peers.add(loser)
        store.put(b"k", b"1", ack="all")
    assert contents(loser) == contents(winner)


@pytest.mark.parametrize("original_first", [True, False])
def test_two_that_live_at_once_share_no_peer(
    twins: tuple[Path, Path], original_first: bool
) -> None:
    """Each was opened when no peer was there, then won a peer of its own. Neither epoch is newer: who comes
    first then is told, the other is refused."""
    one, other = twins if original_first else twins[::-1]
    b, c = (one.with_name(name) for name in "bc")
    with Away(b, c):
        says(one, "one")
        says(other, "other")
    with Away(c), shardkv.open(one) as store:
        store.put(b"x", b"1", ack="quorum")
    with Away(b), shardkv.open(other) as store:
        store.put(b"x", b"2", ack="quorum")
    with shardkv.open(one, ack="quorum") as store:
        with pytest.raises(shardkv.AckError):
            store.put(b"y", b"1", ack="all")
        why = {peer.path: peer.why for peer in store.peers.status()}
        assert "records from seqno 4 to 6 that this store never had" in why[str(c)]
    with pytest.raises(shardkv.FencedError, match=f"{b} has seen epoch"):
        shardkv.open(other)
    assert contents(b) == contents(one)
    assert contents(c) == contents(other)
    assert contents(b)[b"which"] == b"one"
    assert contents(c)[b"which"] == b"other"


def test_a_stray_copy_of_the_same_records_takes_what_the_peers_have_and_goes_on(
    tmp_path: Path,
) -> None:
    """It was made while the primary was open, so it is of the newest epoch: nothing but records can be missing."""
    a = tmp_path / "a"
    with shardkv.open(a, shards=2, peers=[tmp_path / "b", tmp_path / "c"], ack="all") as store:
        store.put(b"k", b"1")
        stray = copied(a, "stray")
        store.put(b"k", b"2")
    with shardkv.open(stray, ack="quorum") as store:
        assert dict(store) == {b"k": b"2"}
        store.put(b"k", b"3", ack="all")
    with pytest.raises(shardkv.FencedError, match="older copy"):
        shardkv.open(a)
    assert contents(tmp_path / "b") == contents(tmp_path / "c") == {b"k": b"3"}


def test_a_peer_that_is_a_copy_of_the_primary_or_of_another_peer_is_refused_or_the_same(
    twins: tuple[Path, Path],
) -> None:
    a, stray = twins
    b, c = a.with_name("b"), a.with_name("c")
    held = b.rename(b.with_name("held"))
    stray.rename(b)
    # Who has it open is not asked for it: it is none, whatever it holds.
    with shardkv.open(b, readonly=True), shardkv.open(a) as store:
        with pytest.raises(shardkv.AckError):
            store.put(b"x", b"1", ack="all")
        status = next(peer for peer in store.peers.status() if peer.path == str(b))
        assert "is a primary, too" in status.why
    b.rename(b.with_name("stray"))
    copied(c, "b")
    put(a, "y", ack="all")
    assert contents(b) == contents(c) == contents(a)
    assert held.exists()


@pytest.mark.parametrize("original_first", [True, False])
def test_a_copy_that_one_began_is_not_gone_on_with_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, original_first: bool
) -> None:
    """Shards of the one were kept, because the newest record was the same in both."""
    a, b = tmp_path / "a", tmp_path / "b"
    with shardkv.open(a, shards=3, retain_log_bytes=1 << 30) as store:
        store.put(b"k", b"1")
    twins = (a, copied(a, "stray"))
    one, other = twins if original_first else twins[::-1]
    says(one, "one")
    says(other, "other")
    pieces, take = iter(range(3)), shardkv.links.Copy.next

    def fail(copy: shardkv.links.Copy, piece_bytes: int) -> bool:
        if next(pieces, None) is None:
            raise OSError("no more")
        return take(copy, piece_bytes)

    with monkeypatch.context() as patch, shardkv.open(one) as store:
        patch.setattr(shardkv.links.Copy, "next", fail)
        store.peers.add(b)
        with pytest.raises(shardkv.AckError, match="down"):
            store.put(b"k", b"2", ack="all")
        store.peers.remove(b)
    assert (b / "COPYING").exists()
    with shardkv.open(other) as store:
        store.put(b"k", b"2")
        store.peers.add(b)
        store.put(b"k", b"3", ack="all")
    assert contents(b) == contents(other)
    assert contents(b)[b"which"] == b"other"
