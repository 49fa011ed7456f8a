"""The checker of transactions: each seeded anomaly is found by its name, and right transactions pass."""

from __future__ import annotations

import random

import pytest
from history.cycles import ABORTED, COMMITTED, UNKNOWN, AnomalyError, Read, Txn, check
from history.loose import Lists

FLAWS = {
    "write skew": {"G2", "G-single"},
    "no check": {"lost", "incompatible order"},
    "no cut": {"G-single", "G2", "G1c"},
    "stale cut": {"G-single with time", "G2 with time", "lost", "incompatible order"},
    "dirty read": {"G1a", "G1b", "incompatible order", "internal", "lost", "duplicate"},
    "aborted write": {"G1a", "incompatible order", "lost"},
    "half commit": {"lost", "incompatible order"},
}


def test_right_transactions_pass(rng: random.Random) -> None:
    for _ in range(20):
        lists = Lists(rng)
        lists.run(300)
        assert check(lists.txns, lists.final()) > 300
        assert {txn.outcome for txn in lists.txns} == {COMMITTED, ABORTED}


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_is_found(flaw: str) -> None:
    for seed in range(10):
        lists = Lists(random.Random(seed), flaw)
        lists.run(400)
        with pytest.raises(AnomalyError) as caught:
            check(lists.txns, lists.final())
        assert caught.value.kind in FLAWS[flaw]


Act = tuple[str, bytes, object]


def txn(name: str, start: int, end: int, *acts: Act, outcome: str = COMMITTED) -> Txn:
    return Txn(name, start, end, outcome, [*acts])  # type: ignore[list-item]


def found(final: dict[bytes, Read], *txns: Txn) -> str:
    try:
        check([*txns], final)
    except AnomalyError as anomaly:
        return anomaly.kind
    return ""


X, Y = b"x", b"y"
XY = {X: (1,), Y: (2,)}


def test_a_dirty_write_is_g0() -> None:
    one = txn("one", 0, 9, ("append", X, 1), ("append", Y, 1))
    two = txn("two", 0, 9, ("append", X, 2), ("append", Y, 2))
    assert found({X: (1, 2), Y: (2, 1)}, one, two) == "G0"
    assert found({X: (1, 2), Y: (1, 2)}, one, two) == ""


def test_circular_information_flow_is_g1c() -> None:
    one = txn("one", 0, 9, ("append", X, 1), ("read", Y, (2,)))
    two = txn("two", 0, 9, ("append", Y, 2), ("read", X, (1,)))
    assert found(XY, one, two) == "G1c"


def test_aborted_and_half_done_writes_are_g1a_and_g1b() -> None:
    gone = txn("gone", 0, 9, ("append", X, 1), outcome=ABORTED)
    assert found({}, gone, txn("reader", 0, 9, ("read", X, (1,)))) == "G1a"
    lost = txn("lost", 0, 9, ("append", X, 1), outcome=UNKNOWN)
    assert found({X: (1,)}, lost, txn("reader", 0, 9, ("read", X, (1,)))) == ""
    assert found({}, lost) == ""
    twice = txn("twice", 0, 9, ("append", X, 1), ("append", X, 2))
    assert found({X: (1, 2)}, twice, txn("reader", 0, 9, ("read", X, (1,)))) == "G1b"


def test_write_skew_is_g2_and_a_read_of_two_moments_is_g_single() -> None:
    one = txn("one", 0, 9, ("read", X, ()), ("append", Y, 2))
    two = txn("two", 0, 9, ("read", Y, ()), ("append", X, 1))
    assert found(XY, one, two) == "G2"
    both = txn("both", 0, 9, ("append", X, 1), ("append", Y, 2))
    torn = txn("torn", 0, 9, ("read", X, (1,)), ("read", Y, ()))
    assert found(XY, both, torn) == "G-single"


def test_a_transaction_that_does_not_see_what_ended_before_it_began_is_refused() -> None:
    one = txn("one", 0, 1, ("append", X, 1))
    assert found({X: (1,)}, one, txn("late", 2, 3, ("read", X, ()))) == "G-single with time"
    assert found({X: (1,)}, one, txn("beside", 1, 3, ("read", X, ()))) == ""
    assert found({X: (2, 1)}, one, txn("two", 2, 3, ("append", X, 2))) == "G0 with time"


def test_a_lost_and_a_doubled_append_are_found() -> None:
    assert found({}, txn("one", 0, 1, ("append", X, 1))) == "lost"
    assert found({X: (1, 1)}, txn("one", 0, 1, ("append", X, 1))) == "duplicate"
    assert found({X: (7,)}) == "garbage"
    own = txn("own", 0, 1, ("append", X, 1), ("read", X, ()))
    assert found({X: (1,)}, own) == "internal"
