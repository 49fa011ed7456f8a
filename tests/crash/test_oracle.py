"""The oracle itself: it refuses what a broken store would show, and nothing that a good one may."""

from collections.abc import Sequence

import pytest

from .journal import Diary, read_lives
from .oracle import Rows, Violation, check
from .plan import Plan, Step, keys_of, steps_of, value_of, writer_of

ONE = Plan(seed=5, steps=12, flavour="writes")
TWO = Plan(seed=5, steps=12, threads=2, flavour="writes")


def after(plan: Plan, **lasts: int) -> Rows:
    """What the store holds when each thread got to its step (t0=..., t1=...)."""
    rows: Rows = {}
    for name, last in lasts.items():
        for step in steps_of(plan, int(name[1:]))[: last + 1]:
            step.apply(rows)
    return rows


def diary(text: str) -> Diary:
    return read_lives(b"life 0\nshown\n" + text.encode())[-1]


def acked(count: int, disk: int, thread: int = 0, first_seqno: int = 1) -> str:
    told = (
        f"intends {thread} {n}\nacked {thread} {n} {first_seqno + n} {disk}\n" for n in range(count)
    )
    return "".join(told)


def effect(steps: Sequence[Step], index: int) -> bool:
    """Whether losing this step would show."""
    rows: Rows = {}
    for step in steps[:index]:
        step.apply(rows)
    before = dict(rows)
    steps[index].apply(rows)
    return before != rows


LAST = max(n for n in range(12) if effect(steps_of(ONE, 0), n))


def test_a_lost_disk_write_is_refused_and_a_lost_memory_write_is_not() -> None:
    check(ONE, diary(acked(LAST + 1, disk=0)), after(ONE, t0=LAST - 1), {})
    with pytest.raises(Violation, match="lost"):
        check(ONE, diary(acked(LAST + 1, disk=1)), after(ONE, t0=LAST - 1), {})


def test_without_a_crash_a_memory_write_must_be_there_too() -> None:
    with pytest.raises(Violation, match="lost"):
        check(ONE, diary(acked(LAST + 1, disk=0)), after(ONE, t0=LAST - 1), {}, crashed=False)


def test_the_step_under_way_may_be_there_or_not_but_only_whole() -> None:
    steps = steps_of(ONE, 0)
    batch = next(n for n, s in enumerate(steps) if s.verb == "batch" and effect(steps, n))
    text = acked(batch, disk=1) + f"intends 0 {batch}\n"
    check(ONE, diary(text), after(ONE, t0=batch - 1), {})
    check(ONE, diary(text), after(ONE, t0=batch), {})
    half = after(ONE, t0=batch - 1)
    key = next(key for key, size in steps_of(ONE, 0)[batch].items if size is not None)
    half[key] = steps_of(ONE, 0)[batch].number
    if half != after(ONE, t0=batch):
        with pytest.raises(Violation, match="no prefix"):
            check(ONE, diary(text), half, {})


def test_a_hole_in_one_thread_is_refused() -> None:
    rows = after(ONE, t0=LAST)
    older = next(key for key, number in rows.items() if number != steps_of(ONE, 0)[LAST].number)
    del rows[older]
    with pytest.raises(Violation):
        check(ONE, diary(acked(LAST + 1, disk=0)), rows, {})


def test_a_hole_between_threads_is_found_by_seqno_and_by_time() -> None:
    by_seqno = diary(acked(3, 0, thread=0, first_seqno=1) + acked(3, 0, thread=1, first_seqno=4))
    unnumbered = (
        acked(3, 0, thread=0, first_seqno=0).replace(" 1 0\n", " 0 0\n").replace(" 2 0\n", " 0 0\n")
    )
    by_time = diary(unnumbered + acked(3, 0, thread=1, first_seqno=9))
    for told in (by_seqno, by_time):
        check(TWO, told, after(TWO, t0=2, t1=2), {})
        check(TWO, told, after(TWO, t0=2), {})
        with pytest.raises(Violation, match="hole"):
            check(TWO, told, after(TWO, t1=2), {})


def test_a_failed_step_may_have_happened_or_not() -> None:
    text = acked(LAST, disk=1) + f"intends 0 {LAST}\nfailed 0 {LAST} PoisonedError\n"
    check(ONE, diary(text), after(ONE, t0=LAST), {})
    check(ONE, diary(text), after(ONE, t0=LAST - 1), {})


def test_what_a_reader_saw_must_stay() -> None:
    with pytest.raises(Violation, match="lost"):
        check(ONE, diary(acked(LAST + 1, 0) + f"saw 0 {LAST}\n"), after(ONE, t0=LAST - 1), {})


def test_keys_and_values_that_nobody_wrote_are_refused() -> None:
    with pytest.raises(Violation, match="nobody wrote"):
        check(ONE, diary(""), {b"stranger": 1}, {})
    key = keys_of(ONE, 0)[0]
    value = value_of(ONE.seed, 7, key, 100)
    assert writer_of(ONE.seed, key, value) == 7
    for seed, other, damaged in (
        (6, key, value),
        (5, key + b"x", value),
        (5, key, value[:-1]),
        (5, key, value[:-1] + b"\0"),
    ):
        with pytest.raises(ValueError, match="nobody wrote"):
            writer_of(seed, other, damaged)
