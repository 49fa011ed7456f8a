"""What a transaction read, as a commit has to prove it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shardkv.readset import ReadSet

KEYS = [bytes([n]) for n in range(1, 9)]
bounds = st.sampled_from([None, *KEYS])


@given(st.lists(st.tuples(bounds, bounds, st.booleans(), st.sampled_from(["", "some", "all"]))))
def test_ranges_hold_what_was_seen_and_stand_in_order(
    scans: list[tuple[bytes | None, bytes | None, bool, str]],
) -> None:
    reads, seen = ReadSet(), set()
    for start, stop, reverse, how in scans:
        inside = [k for k in KEYS if (start or b"") <= k and (stop is None or k < stop)]
        inside = inside[::-1] if reverse else inside
        read = reads.note_scan(start, stop, reverse=reverse)
        if how == "all":
            read.ended = True
        elif how == "some" and inside:
            inside = inside[: (len(inside) + 1) // 2]
            read.last = inside[-1]
        else:
            inside = []
        seen |= set(inside)
    ranges = reads.ranges()
    covered = {k for k in KEYS for a, b in ranges if (a or b"") <= k and (b is None or k < b)}
    assert seen == covered
    for (_, stop), (start, _) in pairwise(ranges):
        assert stop is not None
        assert start is not None
        assert stop < start


def test_keys_are_proved_as_they_were_last_read() -> None:
    reads = ReadSet()
    reads.note(b"a", False)
    reads.note_many([b"b", b"c"], {b"c": b"value"})
    assert reads.conditions(7) == [(b"a", 0, 0), (b"b", 0, 0), (b"c", 1, 7)]
    assert reads.keys() == [b"a", b"b", b"c"]


def test_the_first_expiry_counts() -> None:
    reads = ReadSet()
    assert reads.expires_ms() == 0
    for expiry in (0, 70, 50, 0, 60):
        reads.note_scan(None, None, reverse=False).expires_ms = expiry
    assert reads.expires_ms() == 50
