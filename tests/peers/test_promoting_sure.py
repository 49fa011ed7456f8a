"""Promotion: who is counted, and what is found to have changed since it was looked at."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from peers.families import Away, contents, copied, family, lineage, put

import shardkv
from shardkv import promoting
from shardkv._native import Engine
from shardkv.lineage import TERM
from shardkv.promoting import Promoting
from shardkv.standings import Standing, held, stand


@pytest.fixture
def four(tmp_path: Path) -> tuple[Path, ...]:
    """A family of four, of which b lacks a record."""
    paths = tuple(tmp_path / name for name in "abcd")
    family(*paths)
    with Away(paths[1]):
        put(paths[0], "later", ack="quorum")
    return paths


def test_a_promotion_that_is_refused_for_want_of_a_majority_has_told_nobody(
    four: tuple[Path, ...],
) -> None:
    _, b, c, _ = four
    before = lineage(b), lineage(c), contents(b)
    with pytest.raises(shardkv.AckError, match="4 directories, of which 2"):
        shardkv.promote(b, c)
    assert (lineage(b), lineage(c), contents(b)) == before


def test_the_largest_family_that_somebody_was_told_of_counts(four: tuple[Path, ...]) -> None:
    a, b, c, _ = four
    put(a, "k", ack="all")
    with held(str(b)) as engine:  # it did not hear of d
        known = lineage(b)
        engine.save_lineage(replace(known, members=(str(b), str(c))).packed())
    with pytest.raises(shardkv.AckError, match="4 directories, of which 2"):
        shardkv.promote(b, c)


def test_who_holds_other_records_is_not_told_and_does_not_count(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    stray = copied(a, "stray")
    with Away(c):
        put(a, "one", ack="quorum")
    with Away(b):
        put(stray, "other", ack="quorum")
    before = lineage(b), lineage(c)
    with pytest.raises(shardkv.AckError, match=r"of which 1 can be read and told"):
        shardkv.promote(b, c)
    assert (lineage(b), lineage(c)) == before


def test_nothing_is_taken_from_who_went_another_way_than_the_best_one(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    stray = copied(a, "stray")
    with Away(b):
        put(stray, "other", ack="quorum")
    with Away(b, c):
        put(a, "one", "two")
    done = shardkv.promote(b, a, c)
    assert (done.seqno, done.taken) == (5, 2)
    assert done.lacking == (shardkv.Lacking(str(c), 4, 4),)
    assert contents(b) == contents(a)


def test_nothing_is_taken_by_who_went_another_way_itself(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    stray = copied(a, "stray")
    with Away(c):
        put(stray, "other", ack="quorum")
    with Away(b):
        put(a, "one", "two", ack="quorum")
    before = lineage(b), contents(b)
    with pytest.raises(shardkv.FencedError, match="share records up to seqno 3 only"):
        shardkv.promote(b, c)
    assert (lineage(b), contents(b)) == before


def test_an_epoch_is_known_before_the_first_of_its_records_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended in between, it had records of an epoch that it did not know, and could not be promoted any more."""
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    with Away(b):
        put(a, "one", ack="quorum")
    known: list[bool] = []
    take = Engine.ship_back

    def ship_back(engine: Engine, other: Engine) -> None:
        known.append(lineage(b).history == lineage(c).history)
        take(engine, other)

    monkeypatch.setattr(Engine, "ship_back", ship_back)
    shardkv.promote(b, c)
    assert known == [True]


@pytest.mark.parametrize("order", ["ac", "ca"])
def test_one_of_several_that_have_more_suffices(tmp_path: Path, order: str) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    with Away(b):
        put(a, "one", ack="quorum")
    with shardkv.open(c, readonly=True) as peer:
        peer.flush()
    contents(c)  # the log of what was flushed is given back
    done = shardkv.promote(b, *(tmp_path / name for name in order))
    assert (done.seqno, done.taken) == (4, 1)


def test_a_promotion_goes_beyond_every_epoch_that_was_seen(tmp_path: Path) -> None:
    """Two promoted in the same term would not fence each other."""
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    with Away(a, c):
        assert shardkv.promote(b, force=True).epoch == TERM
    assert shardkv.promote(c, b).epoch == 2 * TERM
    put(c, "new", ack="quorum")
    assert contents(b) == contents(c)


def test_a_peer_that_was_let_go_is_promoted_by_force(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    with shardkv.open(a, ack="all") as store:
        store.peers.remove(b)
    shutil.rmtree(a)
    shardkv.promote(b, force=True)
    put(b, "new")


def test_a_directory_is_given_once_however_it_is_spelled(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    shutil.rmtree(a)
    alias = tmp_path / "alias"
    alias.symlink_to(b)
    with pytest.raises(shardkv.InvalidError, match="given twice"):
        shardkv.promote(b, alias)
    with pytest.raises(shardkv.InvalidError, match="given twice"):
        shardkv.promote(c, b, alias)


def failing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let nobody write to a directory."""

    def refuse(name: str) -> contextlib.AbstractContextManager[Engine]:
        if name == str(path):
            raise shardkv.DiskError("no")
        return held(name)

    monkeypatch.setattr(promoting, "held", refuse)


def test_who_could_not_be_told_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    shutil.rmtree(a)
    failing(monkeypatch, c)
    with pytest.raises(shardkv.AckError, match=r"of which 1 can be read and told.*c \(no\)"):
        shardkv.promote(b, c)
    assert lineage(b).role == "peer"


def test_an_old_primary_that_was_read_is_not_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a member by its path since a promotion that could not tell it, and knows no name of its own."""
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    with monkeypatch.context() as patch:
        failing(patch, a)
        assert str(a) in shardkv.promote(b, a, c).members
    assert lineage(a).role == "primary"
    assert shardkv.promote(c, b, a).unknown == ()


def test_an_old_primary_that_was_moved_is_not_unknown_and_one_that_is_damaged_is(
    tmp_path: Path,
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    old, other = a.rename(tmp_path / "old"), c.rename(tmp_path / "other")
    for name in ("MANIFEST", "MANIFEST.bak"):
        (other / name).write_bytes(b"nothing")
    assert shardkv.promote(b, old, other).unknown == (str(c), str(other))


# -- what changed between the look and the lock


def other_seqno(one: Standing) -> Standing:
    return replace(one, seqno=(one.seqno or 0) - 1)


def other_lineage(one: Standing) -> Standing:
    assert one.lineage
    return replace(one, lineage=replace(one.lineage, primary="somewhere"))


def test_a_peer_that_was_written_to_meanwhile_is_not_promoted(four: tuple[Path, ...]) -> None:
    _, b, c, d = four
    for changed in (other_seqno, other_lineage):
        given = [changed(stand(str(b))), stand(str(c)), stand(str(d))]
        with pytest.raises(shardkv.LockedError, match="written to meanwhile"):
            Promoting(given, False).run()
    assert lineage(b).role == "peer"


def test_nothing_is_taken_from_who_was_written_to_meanwhile(four: tuple[Path, ...]) -> None:
    a, b, c, d = four
    put(a, "k", ack="all")
    with Away(b, d):
        put(a, "more")
    with pytest.raises(shardkv.FencedError, match="written to meanwhile"):
        Promoting([stand(str(b)), other_lineage(stand(str(c))), stand(str(d))], False).run()
    assert lineage(b).role == "peer"


def test_who_was_written_to_meanwhile_is_not_told(four: tuple[Path, ...]) -> None:
    a, b, c, d = four
    put(a, "k", ack="all")
    before = lineage(c)
    for force in (False, True):
        given = [stand(str(b)), other_lineage(stand(str(c))), stand(str(d))]
        with pytest.raises(shardkv.LockedError, match="written to meanwhile"):
            Promoting(given, force).run()
    assert lineage(c) == before
