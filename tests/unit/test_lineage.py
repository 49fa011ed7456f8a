"""Lineages: what two directories of a family can say of one another."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardkv import FormatError, lineage
from shardkv.lineage import EPOCHS_KEPT, TERM, Epoch, Lineage, founded, meet, unpacked


def test_a_lineage_survives_the_manifest() -> None:
    lineage = replace(founded(7), members=("/a", "/b"))
    assert unpacked(lineage.packed()) == lineage
    assert unpacked(b"") is None


@pytest.mark.parametrize("blob", [b"\xc1", b"\x01", b"\x80", b"\x81\xa6family\xc4\x00"])
def test_what_is_no_lineage_is_refused(blob: bytes) -> None:
    with pytest.raises(FormatError, match="lineage"):
        unpacked(blob)


def test_epochs_grow_and_a_promotion_outranks_every_opening() -> None:
    first = founded(1)
    opened = first
    for seqno in range(1, 200):
        opened = opened.begun(seqno)
    promoted = first.as_peer().begun(5, promoted=True)
    assert opened.epoch == first.epoch + 199
    assert len(opened.history) == EPOCHS_KEPT
    assert promoted.epoch % TERM == 0
    assert promoted.epoch > opened.epoch
    assert promoted.role == "primary"


def test_epochs_without_records_push_out_no_others() -> None:
    """A peer that was away while the store was opened 128 times shared no epoch with it, though nothing was written."""
    first = founded(1)
    empty, full = first, first
    for _ in range(200):
        empty, full = empty.begun(1), full.begun(11)
    assert meet(empty, 0, first.as_peer(), 0) == ("follows", 0)
    assert meet(full, 10, first.as_peer(), 10) == ("follows", 10)
    assert len(full.history) == 2


def test_a_primary_is_nobodys_peer() -> None:
    promoted = founded(1).as_peer("/a", "/b").begun(5, promoted=True)
    assert (promoted.primary, promoted.name) == ("", "")


def family() -> tuple[Lineage, Lineage]:
    primary = founded(1)
    return primary, primary.as_peer()


def test_a_peer_that_has_a_prefix_follows() -> None:
    primary, peer = family()
    assert meet(primary, 10, peer, 10).verdict == "follows"
    assert meet(primary, 10, peer, 3) == ("follows", 3)
    assert meet(primary.begun(11), 20, peer, 10) == ("follows", 10)


def test_a_peer_ahead_in_the_newest_epoch_can_be_taken_over() -> None:
    primary, peer = family()
    assert meet(primary, 10, peer, 12) == ("ahead", 10)


def test_a_peer_ahead_of_an_older_epoch_has_diverged() -> None:
    primary, peer = family()
    assert meet(primary.begun(11), 20, peer, 12) == ("diverged", 10)


def test_a_primary_that_lost_records_shares_only_what_it_has() -> None:
    primary, peer = family()
    assert meet(primary.begun(11), 5, peer, 8) == ("diverged", 5)


def test_a_promoted_peer_is_newer() -> None:
    primary, peer = family()
    promoted = peer.begun(9, promoted=True)
    assert meet(primary, 10, promoted, 8) == ("newer", 8)
    assert meet(promoted, 30, primary, 10) == ("diverged", 8)
    assert meet(promoted, 30, primary, 8) == ("follows", 8)
    assert meet(primary, 10, primary.begun(11).as_peer(), 3) == ("newer", 3)


def test_histories_that_share_no_epoch_any_more_are_told_by_their_numbers() -> None:
    first = founded(1)
    one, other = first, first
    for seqno in range(2, EPOCHS_KEPT + 2):
        one, other = one.begun(seqno), other.begun(seqno)
    assert meet(first, 1, one, 200) == ("newer", 0)
    assert meet(one, 200, first, 1) == meet(one, 200, other, 200) == ("diverged", 0)


def test_two_openers_of_one_number_are_told_apart() -> None:
    primary, peer = family()
    one, other = primary.begun(11), primary.begun(11)
    assert one.epoch == other.epoch
    assert meet(one, 15, other, 15) == ("diverged", 10)
    assert meet(one, 15, other, 10).verdict == "follows"
    assert meet(one, 15, founded(1), 15).verdict == "foreign"
    del peer


FIELDS: dict[str, object] = {
    "family": bytes(16),
    "role": "peer",
    "history": [[1, 2, 3]],
    "members": [],
    "primary": "/a",
    "name": "/b",
}


@pytest.mark.parametrize(
    "change",
    [
        {"family": bytes(15)},
        {"role": "other"},
        {"history": []},
        {"history": [[1, 2]]},
        {"more": 1},
    ],
)
def test_a_lineage_with_other_fields_is_refused(change: dict[str, object]) -> None:
    assert unpacked(msgpack.packb(FIELDS))
    with pytest.raises(FormatError, match="lineage"):
        unpacked(msgpack.packb(FIELDS | change))


class Branch:
    """One directory: which epoch wrote each of its records."""

    def __init__(self, lineage: Lineage, written: list[Epoch]) -> None:
        self.lineage, self.written = lineage, written

    def opened(self, promoted: bool) -> Branch:
        lineage = self.lineage.begun(len(self.written) + 1, promoted=promoted)
        return Branch(lineage, list(self.written))

    def wrote(self, count: int) -> Branch:
        return Branch(self.lineage, self.written + [self.lineage.history[-1]] * count)

    def prefix(self, count: int) -> Branch:
        return Branch(self.lineage.as_peer(), self.written[:count])


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(STEPS, st.sampled_from([2, 3, EPOCHS_KEPT]))
def test_the_common_part_is_what_both_really_share(
    steps: list[tuple[int, int, int, bool]], kept: int
) -> None:
    branches = [Branch(founded(1), [])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lineage, "EPOCHS_KEPT", kept)
        for base, keep, more, promoted in steps:
            branch = branches[base % len(branches)].prefix(keep)
            branches.append(branch.opened(promoted).wrote(more))
    for one in branches:
        for other in branches:
            check_pair(one, other)


def test_who_was_away_follows_as_long_as_the_newest_epoch_that_it_knows_is_known() -> None:
    """From the 129th opening on, every peer was refused: the oldest epoch that it knew was forgotten by the store."""
    states = [founded(1)]
    for seqno in range(2, 2 * EPOCHS_KEPT):
        states.append(states[-1].begun(seqno))
    newest, last = states[-1], len(states)
    for away in range(1, EPOCHS_KEPT):
        peer = states[-1 - away].as_peer()
        assert meet(newest, last, peer, last - away) == ("follows", last - away)
        assert meet(newest, last, peer, last).verdict == "diverged"


def check_pair(one: Branch, other: Branch) -> None:
    """A verdict never lets a peer go on from records that the primary does not have."""
    pairs = zip(one.written, other.written, strict=False)
    shared = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    common = min(len(one.written), len(other.written)) if shared is None else shared
    found = meet(one.lineage, len(one.written), other.lineage, len(other.written))
    assert found.common_seqno <= common
    if found.verdict == "follows":
        assert common == len(other.written)
    if found.verdict == "ahead":
        assert common == len(one.written) < len(other.written)
