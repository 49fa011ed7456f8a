"""Promotion: who becomes the primary, what it takes over, who is fenced, what is told and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from peers.families import Away, contents, copied, family, lineage, put

import shardkv
from shardkv.lineage import TERM

Places = tuple[Path, Path, Path]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return tmp_path / "a", tmp_path / "b", tmp_path / "c"


def test_a_peer_becomes_the_primary_when_the_primary_is_lost(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    shutil.rmtree(a)
    done = shardkv.promote(b, c)
    assert (done.path, done.seqno, done.taken) == (str(b), 3, 0)
    assert done.epoch == TERM
    assert done.members == (str(c),)
    assert done.unknown == (str(a),)
    assert done.lacking == ()
    put(b, "new", ack="all")
    assert contents(b) == contents(c)
    assert b"new" in contents(c)


def test_the_old_primary_is_fenced_and_becomes_a_peer_when_it_is_given(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    with Away(b, c):
        put(a, "alone")
    done = shardkv.promote(b, a, c)
    assert (done.taken, done.seqno, done.unknown, done.lacking) == (1, 4, (), ())
    assert set(done.members) == {str(a), str(c)}
    with pytest.raises(shardkv.FencedError, match="is a peer"):
        shardkv.open(a)
    put(b, "new", ack="all")
    assert contents(a) == contents(b) == contents(c)
    assert contents(a)[b"alone"] == b"a:alone"


@pytest.mark.parametrize("ack", ["disk", "all"])
def test_an_old_primary_that_comes_back_is_refused(
    places: Places, ack: shardkv.options.Ack
) -> None:
    a, b, c = places
    family(a, b, c)
    with Away(b, c):
        put(a, "alone")
    with Away(a):
        done = shardkv.promote(b, c)
    assert done.unknown == (str(a),)
    for gone in ((), (b,), (c,)):  # either of the others knows
        with Away(*gone), pytest.raises(shardkv.FencedError, match=r"shardkv\.rejoin"):
            shardkv.open(a, ack=ack)
    put(b, "new", ack="quorum")
    assert b"alone" not in contents(c)
    assert contents(a)[b"alone"] == b"a:alone"


def test_a_better_directory_is_taken_over_whoever_it_is(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    with Away(b):
        put(a, "later", ack="quorum")
    shutil.rmtree(a)
    done = shardkv.promote(b, c)  # c acked what b never saw
    assert done.taken == 1
    assert contents(b) == contents(c)
    assert b"later" in contents(b)


def test_a_peer_that_saw_an_epoch_is_not_better_than_one_with_more_records(
    places: Places,
) -> None:
    """The newest epoch that a peer has seen says nothing of what it holds: c has records that b lacks."""
    a, b, c = places
    family(a, b, c)
    with Away(b):
        put(a, "later", ack="quorum")
    held = copied(b, "b.old")
    with Away(c):  # b sees this epoch, and gets the records, but loses them again
        put(a, "z", ack="quorum")
    seen = lineage(b)
    shutil.rmtree(b)
    held.rename(b)
    with shardkv.standings.held(str(b)) as engine:
        engine.save_lineage(seen.packed())
    shutil.rmtree(a)
    assert lineage(b).epoch > lineage(c).epoch
    assert shardkv.standings.stand(str(b)).rank < shardkv.standings.stand(str(c)).rank
    done = shardkv.promote(b, c)
    assert done.taken == 1
    assert contents(b) == contents(c)


def test_what_cannot_be_taken_over_is_told_exactly_and_needs_force(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    with Away(b, c):
        put(a, "one", "two")
        put(a, "three")
        put(a, "four")  # by now the log begins behind b's end
    for _ in range(2):
        with pytest.raises(shardkv.FencedError, match=f"{a} is better: it has all up to seqno 7"):
            shardkv.promote(b, a, c)
    assert lineage(b).role == lineage(c).role == "peer"
    done = shardkv.promote(b, a, c, force=True)
    assert done.lacking == (shardkv.Lacking(str(a), 4, 7),)
    assert (done.seqno, done.taken, done.members) == (3, 0, (str(c),))
    with pytest.raises(shardkv.FencedError):
        shardkv.open(a)
    assert set(contents(a)) >= {b"one", b"two", b"three", b"four"}


def test_what_lies_before_the_best_ones_log_is_taken_from_another(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    with Away(b):
        put(a, "one", ack="quorum")
    with Away(b, c):
        put(a, "two", "three")  # by now the log begins behind b's end, but not behind c's
    done = shardkv.promote(b, a, c)
    assert (done.seqno, done.taken, done.lacking) == (6, 3, ())
    assert contents(b) == contents(a)


def test_fewer_than_a_majority_needs_force(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    with pytest.raises(shardkv.AckError, match="3 directories, of which 1") as told:
        shardkv.promote(b)
    assert str(a) in str(told.value)
    assert str(c) in str(told.value)
    assert lineage(b).role == "peer"
    done = shardkv.promote(b, force=True)
    assert set(done.unknown) == {str(a), str(c)}
    assert done.members == (str(c),)


def test_a_promotion_can_be_followed_by_another(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    shutil.rmtree(a)
    shardkv.promote(b, c)
    put(b, "one", ack="all")
    done = shardkv.promote(c, b)
    assert done.epoch == 2 * TERM
    assert done.members == (str(b),)
    put(c, "two", ack="all")
    assert contents(b) == contents(c)


def test_a_directory_that_was_moved_is_known_by_its_name(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    family(a, b, c)
    shutil.rmtree(a)
    mounted, other = b.rename(tmp_path / "mounted"), c.rename(tmp_path / "other")
    done = shardkv.promote(mounted, other)
    assert done.members == (str(other),)
    assert done.unknown == (str(a),)
    put(mounted, "new", ack="all")
    assert contents(other) == contents(mounted)


def test_a_peer_that_was_let_go_does_not_count(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    family(a, b, c)
    with shardkv.open(a, ack="all") as store:
        store.peers.remove(c)
        store.put(b"later", b"x")
    assert lineage(c).name not in lineage(c).members
    assert lineage(b).members == (str(b),)
    with pytest.raises(shardkv.InvalidError, match="let go"):
        shardkv.promote(c, b)
    with pytest.raises(shardkv.AckError):
        shardkv.promote(b, c)
    done = shardkv.promote(b, a)
    assert done.members == (str(a),)


def test_members_that_are_added_are_told_to_all(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    family(a, b)
    with shardkv.open(a, ack="all") as store:
        store.peers.add(c)
        store.put(b"later", b"x")
    assert lineage(b).members == lineage(c).members == (str(b), str(c))
    assert lineage(b).primary == str(a)
    assert (lineage(b).name, lineage(c).name) == (str(b), str(c))


# -- what is refused


def test_who_lives_is_not_replaced(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    with shardkv.open(a, ack="all") as store:
        store.put(b"x", b"1")
        for given in ((b,), (b, c), (b, a), (c, b, a)):
            with pytest.raises(shardkv.LockedError, match="lives"):
                shardkv.promote(*given, force=True)
        store.put(b"y", b"2")
    assert {lineage(p).role for p in (b, c)} == {"peer"}


def test_what_is_no_peer_is_refused_untouched(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    family(a, b)
    family(c, tmp_path / "d")
    single, empty = tmp_path / "single", tmp_path / "empty"
    with shardkv.open(single, shards=2) as store:
        store[b"k"] = b"1"
    empty.mkdir()
    unfinished = copied(b, "unfinished")
    shardkv.places.forget(str(unfinished))
    for bad, text in (
        (a, "a primary already"),
        (single, "of no family"),
        (empty, "holds no store"),
        (unfinished, "holds no store"),
        (tmp_path / "none", "holds no store"),
    ):
        with pytest.raises(shardkv.InvalidError, match=text):
            shardkv.promote(bad, force=True)
    for others, text in (([c], "family"), ([single], "family"), ([b], "twice"), ([a, a], "twice")):
        with pytest.raises(shardkv.InvalidError, match=text):
            shardkv.promote(b, *others, force=True)
    with pytest.raises(TypeError, match="force"):
        shardkv.promote(b, force=1)  # type: ignore[arg-type]
    with pytest.raises(shardkv.InvalidError, match="NUL"):
        shardkv.promote("x\0y")
    assert empty.exists()
    assert not list(empty.iterdir())
    assert (lineage(a).role, lineage(b).role) == ("primary", "peer")


def test_a_damaged_peer_is_told_as_damaged(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    for name in ("MANIFEST", "MANIFEST.bak"):
        (b / name).write_bytes(b"nothing")
    with pytest.raises(shardkv.CorruptionError, match="manifest"):
        shardkv.promote(b, c)
    shutil.rmtree(a)
    with pytest.raises(shardkv.AckError):
        shardkv.promote(c, b)
    done = shardkv.promote(c, b, force=True)
    assert set(done.unknown) == {str(a), str(b)}
    assert done.members == (str(b),)


def test_a_peer_in_quarantine_is_not_promoted(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    shardkv.quarantine.write(str(b), [0, 0], [], 0)
    with pytest.raises(shardkv.CorruptionError, match="QUARANTINE"):
        shardkv.promote(b, c, force=True)
    with pytest.raises(shardkv.CorruptionError, match="QUARANTINE"):
        shardkv.rejoin(b, b.with_name("export"), primary=a)
    with shardkv.open(a) as store:
        store.put(b"x", b"1", ack="quorum")
        states = {peer.path: peer.state for peer in store.peers.status()}
    assert states == {str(b): "failed", str(c): "current"}
    assert lineage(b).role == "peer"


def test_an_open_that_meets_damage_names_the_peers(places: Places) -> None:
    a, b, c = places
    family(a, b, c)
    mark = a / "log" / "MARK"
    kept = mark.read_bytes()
    mark.write_bytes(b"")
    with pytest.raises(shardkv.CorruptionError, match="promote") as told:
        shardkv.open(a)
    assert str(b) in str(told.value)
    mark.write_bytes(kept)
    for name in ("MANIFEST", "MANIFEST.bak"):
        (a / name).write_bytes(b"nothing")
    with pytest.raises(shardkv.CorruptionError, match="promote") as told:
        shardkv.open(a, peers=[b, c])
    assert str(c) in str(told.value)
    shutil.rmtree(a)
    with pytest.raises(shardkv.FencedError, match="promote"):
        shardkv.open(a, peers=[b, c])
    assert not a.exists()
