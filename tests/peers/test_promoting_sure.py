"""Promotion: who is counted, and what is found to have changed since it was looked at."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from peers.families import Away, contents, copied, family, lineage, put

import shardkv
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
