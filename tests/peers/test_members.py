"""Who is a member of a family: what is added once, what counts for a quorum, what each is told of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peers.families import Away, contents, copied, family, lineage, outrun, put

import shardkv
from shardkv import links, peers, places
from shardkv._native import Engine
from shardkv.lineage import EPOCHS_KEPT, Epoch, Lineage, unpacked
from shardkv.options import Options

# -- what counts for a quorum when a store is opened


def test_one_of_two_is_no_quorum(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    with Away(b), pytest.raises(shardkv.AckError, match="2 directories, of which 1"):
        shardkv.open(a, ack="quorum")


def test_a_peer_of_another_family_does_not_count(tmp_path: Path) -> None:
    a, b, c, other, strange = (tmp_path / name for name in ("a", "b", "c", "other", "strange"))
    family(a, b, c)
    family(other, strange)
    b.rename(tmp_path / "held")
    strange.rename(b)
    with Away(c), pytest.raises(shardkv.AckError, match="3 directories, of which 1"):
        shardkv.open(a, ack="quorum")


def test_a_peer_that_was_let_go_does_not_count_when_it_is_asked_for_again(tmp_path: Path) -> None:
    a, b, c, d = paths = tuple(tmp_path / name for name in "abcd")
    family(*paths)
    with shardkv.open(a, ack="all") as store:
        store.peers.remove(d)
    with Away(b, c), pytest.raises(shardkv.AckError, match="3 directories, of which 1"):
        shardkv.open(a, peers=[b, c, d], ack="quorum")


def test_of_several_peers_that_are_ahead_the_best_one_is_taken_over(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    with shardkv.open(a, shards=2, peers=[b, c], ack="all") as store:
        store.put(b"k1", b"1")
        store.sync()
        copied(a, "earlier")
        store.put(b"k2", b"2")
        copied(b, "midway")
        store.put(b"k3", b"3")
    for path, name in ((a, "earlier"), (b, "midway")):
        path.rename(tmp_path / f"{path.name}.later")
        (tmp_path / name).rename(path)
    put(a, "k4", ack="all")
    assert list(contents(a)) == [b"k1", b"k2", b"k3", b"k4"]
    assert contents(a) == contents(b) == contents(c)


def test_what_the_best_ones_log_lacks_is_taken_from_another_first(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    with shardkv.open(a, shards=2, peers=[b, c], ack="all") as store:
        store.put(b"k1", b"1")
        store.sync()
        copied(a, "earlier")
        store.put(b"k2", b"2")
        store.peers.remove(b)
        with shardkv.open(b, readonly=True) as peer:
            peer.flush()
        contents(b)  # the log of what was flushed is given back
        store.peers.add(b)
        store.put(b"k3", b"3")
        copied(c, "midway")
        store.put(b"k4", b"4")
    for path, name in ((a, "earlier"), (c, "midway")):
        path.rename(tmp_path / f"{path.name}.later")
        (tmp_path / name).rename(path)
    put(a, "k5", ack="all")
    assert list(contents(a)) == [b"k1", b"k2", b"k3", b"k4", b"k5"]
    assert contents(a) == contents(b) == contents(c)


# -- what is added, and what is not


def test_a_member_is_known_however_it_is_spelled(tmp_path: Path) -> None:
    """Named twice when the store was opened it was two members, one of which always failed."""
    a, b, alias = tmp_path / "a", tmp_path / "b", tmp_path / "alias"
    alias.symlink_to(b)
    with shardkv.open(a, shards=1, peers=[b, b], ack="all") as store:
        assert list(store.peers) == [str(b)]
        store.put(b"k", b"1")
        with pytest.raises(shardkv.InvalidError, match="already"):
            store.peers.add(alias)
        store.peers.remove(alias)
        assert len(store.peers) == 0
    for both in ([alias, b], [b, alias]):
        with pytest.raises(shardkv.InvalidError, match="the same directory"):
            shardkv.open(a, peers=both)
    assert lineage(a).members == ()


def test_a_member_is_refused_before_its_disk_is_looked_at(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    with shardkv.open(a) as store:
        store.put(b"k", b"1", ack="all")  # nothing more is written to the manifest
        (b / "MANIFEST").write_bytes(b"not one")
        (b / "MANIFEST.bak").write_bytes(b"not one")
        with pytest.raises(shardkv.InvalidError, match="already"):
            store.peers.add(b)


def test_a_file_is_no_place_for_a_peer(tmp_path: Path) -> None:
    """It was a member from then on, which no copy could ever be made in."""
    a, file = tmp_path / "a", tmp_path / "file"
    file.touch()
    with shardkv.open(a, shards=1) as store:
        with pytest.raises(shardkv.InvalidError, match="neither an empty directory nor a peer"):
            store.peers.add(file)
        assert list(store.peers) == []
    with pytest.raises(shardkv.InvalidError, match="neither an empty directory nor a peer"):
        shardkv.open(a, peers=[file])


def test_of_two_who_add_the_same_directory_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"

    def slow(*given: Any) -> None:
        places.refuse_place(*given)
        if not len(store.peers):
            monkeypatch.undo()
            store.peers.add(b)  # who was quicker

    with shardkv.open(a, shards=1) as store:
        monkeypatch.setattr(peers, "refuse_place", slow)
        with pytest.raises(shardkv.InvalidError, match="already"):
            store.peers.add(b)
        store.put(b"k", b"1", ack="all")
        assert store.peers.lineage.members == (str(b),)


def test_nothing_is_added_once_the_links_were_told_to_end(tmp_path: Path) -> None:
    """Nobody would tell the new one."""
    with shardkv.open(tmp_path / "a", shards=1) as store:
        store.peers.stop()
        with pytest.raises(shardkv.ClosedError):
            store.peers.add(tmp_path / "b")


def test_what_a_family_begins_after_is_durable_before_it_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, Any]] = []
    wait, save = Engine.wait, Engine.save_lineage

    def wait_first(engine: Engine, seqno: int) -> None:
        wait(engine, seqno)
        done.append(("durable", seqno))

    def then_save(engine: Engine, blob: bytes) -> None:
        done.append(("saved", engine.last_seqno()))
        save(engine, blob)

    with shardkv.open(tmp_path / "a", shards=1) as store:
        store.put(b"k", b"1", ack="memory")
        monkeypatch.setattr(Engine, "wait", wait_first)
        monkeypatch.setattr(Engine, "save_lineage", then_save)
        store.peers.add(tmp_path / "b")
        assert done[:2] == [("durable", 1), ("saved", 1)]
        assert store.peers.lineage.history[0].first_seqno == 2


# -- what a peer is told


def test_a_peer_that_was_just_copied_is_told_of_the_next_one(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    with shardkv.open(a, shards=1) as store:
        for path in (b, c):
            store.peers.add(path)
            for value in (b"1", b"2"):
                store.put(b"k", value, ack="all")
            assert all(one.done == one.total == 0 for one in store.peers.status())
    assert lineage(b).members == lineage(c).members == (str(b), str(c))


def test_a_directory_is_given_up_while_nobody_else_can_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    outrun(a, b)
    found: list[str] = []

    def forget(path: str) -> None:
        try:
            Engine(path, Options(create=False, following=True)).close()
        except shardkv.LockedError as error:
            found.append(type(error).__name__)
        places.forget(path)

    monkeypatch.setattr(links, "forget", forget)
    with shardkv.open(a, ack="all") as store:
        store.put(b"k", b"1")
    assert found == ["LockedError"]
    assert contents(a) == contents(b)


def test_a_long_lineage_fits_and_one_that_does_not_is_refused(tmp_path: Path) -> None:
    long = "x" * 255
    history = tuple(Epoch(*[(1 << 63) + n] * 3) for n in range(EPOCHS_KEPT))
    most = Lineage(bytes(16), "peer", history, (long,) * 8, "y" * 2000, long)
    with shardkv.open(tmp_path / "a", shards=1) as store:
        engine = store.peers.engine
        engine.save_lineage(most.packed())
        with pytest.raises(shardkv.InvalidError, match="bytes; at most"):
            engine.save_lineage(most.packed() + bytes(1 << 20))
        assert unpacked(engine.lineage()) == most
