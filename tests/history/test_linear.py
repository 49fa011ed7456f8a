"""The checker of histories: it refuses what a broken store would answer, and nothing that a good one may."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from history.calls import UNKNOWN, Call, Refused, by_key
from history.diary import read_life
from history.linear import READS, NotLinearError, Step, check, check_key, steps_of, suits
from history.synthetic import BROKEN, Register, history


def calls(*told: tuple[Any, ...]) -> list[Call]:
    """Make calls from (start, end, verb, arguments ..., answer)."""
    return [
        Call(start, end, 0, verb, b"k", tuple(more[:-1]), more[-1])
        for start, end, verb, *more in told
    ]


def refused(*told: tuple[Any, ...]) -> list[str]:
    with pytest.raises(NotLinearError) as caught:
        check_key(calls(*told))
    return [call.verb for call in caught.value.window]


@pytest.mark.parametrize("callers", [1, 3, 8])
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_what_a_right_register_answers_is_accepted(
    rng: random.Random, callers: int, lost: float
) -> None:
    count = 1_000 if lost else 5_000
    check(by_key(history(rng, count, callers, lost=lost if callers < 8 else 0.0)))


def test_a_hundred_thousand_calls_are_checked_at_once() -> None:
    rng = random.Random(5)
    histories = {key: history(rng, 2_000, 4, key) for key in map(b"%d".__mod__, range(50))}
    assert check(histories) == 100_000


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("callers", [1, 4])
def test_every_broken_register_is_found_and_its_window_is_short(
    kind: type[Register], callers: int
) -> None:
    for seed in range(5):
        told = history(random.Random(seed), 3_000, callers, kind=kind)
        with pytest.raises(NotLinearError) as caught:
            check_key(told)
        assert len(caught.value.window) <= 6 * callers


def orders(steps: list[Step], value: Any, top: int) -> bool:
    """Say, by trying all orders, whether one explains the answers."""
    if all(step.optional for step in steps):
        return True
    earliest = min(step.call.end for step in steps if not step.optional)
    for step in steps:
        others = [other for other in steps if other is not step]
        if any(other.call.end < step.call.start and not other.optional for other in others):
            continue
        # An optional one that ended before this began has no more chance.
        later = [o for o in others if not (o.optional and o.call.end < step.call.start)]
        if step.call.start > earliest:
            continue
        if step.kind in READS:
            if suits(step, value) and orders(later, value, top):
                return True
            continue
        made = step.after(value)
        if made is step or (step.version and step.version <= top):
            continue
        if orders(later, made, step.version or top):
            return True
    return False


def test_the_quick_search_agrees_with_trying_all_orders(rng: random.Random) -> None:
    verdicts = set()
    for _ in range(1_500):
        kind = rng.choice([Register, Register, *BROKEN])
        told = history(rng, rng.randrange(2, 8), rng.randrange(1, 5), lost=0.2, kind=kind)
        for _ in range(rng.randrange(2)):  # and a few answers that fit nothing
            one, other = rng.choice(told), rng.choice(told)
            if one.verb in ("get", "pop") and other.args and isinstance(other.args[0], bytes):
                one.answer = other.args[0]
            elif one.verb in ("add", "delete", "has") and one.answer is not UNKNOWN:
                one.answer = not one.answer
        assert agree(told)
        verdicts.add(accepted(told))
    assert verdicts == {True, False}


def accepted(told: Iterable[Call]) -> bool:
    try:
        check_key(told)
    except NotLinearError:
        return False
    return True


def agree(told: list[Call]) -> bool:
    try:
        right = orders(steps_of(told), None, 0)
    except NotLinearError:
        right = False
    assert accepted(told) == right, "\n".join(map(repr, told))
    return True


def test_a_stale_read_and_nothing_else_is_shown() -> None:
    shown = refused(
        (0, 1, "put", b"a", 1),
        (2, 3, "get", b"a"),
        (4, 5, "put", b"b", 2),
        (6, 7, "get", b"b"),
        (8, 9, "get", b"a"),
        (10, 11, "get", b"b"),
    )
    assert shown == ["get", "get"] or shown == ["put", "get"]


def test_a_read_beside_a_write_may_see_either_but_not_first_new_then_old() -> None:
    put = (2, 9, "put", b"b", 2)
    for first, second in [(b"a", b"a"), (b"a", b"b"), (b"b", b"b")]:
        check_key(calls((0, 1, "put", b"a", 1), put, (3, 4, "get", first), (5, 6, "get", second)))
    refused((0, 1, "put", b"a", 1), put, (3, 4, "get", b"b"), (5, 6, "get", b"a"))


def test_one_of_two_writes_that_expect_the_same_version_has_to_fail() -> None:
    first = (0, 1, "put", b"a", 1)
    for answers in [(True, False), (False, True)]:
        check_key(
            calls(first, (2, 9, "cas", b"b", 1, answers[0]), (3, 8, "cas", b"c", 1, answers[1]))
        )
    refused(first, (2, 9, "cas", b"b", 1, True), (3, 8, "cas", b"c", 1, True))
    refused(first, (2, 9, "cas", b"b", 1, False), (3, 8, "cas", b"c", 1, False))
    refused(first, (2, 3, "put_if", b"b", 1, Refused(0)))
    refused((0, 1, "put", b"a", 1), (2, 3, "put_if", b"b", 1, Refused(1)))


def test_versions_are_in_the_order_of_time() -> None:
    refused((0, 1, "put", b"a", 2), (2, 3, "put", b"b", 1))
    check_key(calls((0, 3, "put", b"a", 2), (1, 2, "put", b"b", 1), (4, 5, "get", b"a")))
    refused((0, 3, "put", b"a", 2), (1, 2, "put", b"b", 1), (4, 5, "get", b"b"))
    refused((0, 1, "put", b"a", 1), (2, 3, "get_entry", (b"a", 2)))
    refused((0, 1, "put", b"a", 1), (2, 3, "put", b"b", 1))


def test_a_call_without_an_answer_may_have_happened_or_not_but_not_late() -> None:
    lost = (2, 5, "put", b"b", UNKNOWN)
    first = (0, 1, "put", b"a", 1)
    check_key(calls(first, lost, (6, 7, "get", b"a")))
    check_key(calls(first, lost, (6, 7, "get", b"b")))
    check_key(calls(first, lost, (3, 4, "get", b"a"), (6, 7, "get", b"b")))
    refused(first, lost, (6, 7, "get", b"a"), (8, 9, "get", b"b"))
    refused(first, lost, (6, 7, "get", b"b"), (8, 9, "get", b"a"))
    refused(first, lost, (6, 7, "get", None))
    check_key(calls((0, 1, "incr", 1, 0, 1), (2, 5, "incr", 1, 0, UNKNOWN), (6, 7, "get", b"2")))
    refused((0, 1, "incr", 1, 0, 1), (2, 5, "incr", 1, 0, UNKNOWN), (6, 7, "get", b"3"))


def test_what_was_there_before_the_history_counts() -> None:
    check_key(calls((0, 1, "get", b"x")), b"x")
    with pytest.raises(NotLinearError):
        check_key(calls((0, 1, "get", None)), b"x")


def test_a_diary_counts_as_far_as_its_last_whole_line() -> None:
    text = b"began 0 5 ('get', b'k', ())\nended 0 9 b'value'\n"
    (whole,) = read_life(text, 20)
    assert (whole.answer, whole.end) == (b"value", 9)
    for cut in range(text.index(b"\n") + 1, len(text)):
        (open_ended,) = read_life(text[:cut], 20)
        assert open_ended.answer is UNKNOWN
        assert open_ended.end == 20
    assert not [*read_life(text[:20], 20)]
