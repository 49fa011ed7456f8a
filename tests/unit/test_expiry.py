"""Records that live for a time: the ttl they are given, the clock they are judged by."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv.expiry import TTL_MAX, ttl_ms

YEARS_10 = 10 * 365 * 86400
SLACK_MS = 1000  # two clocks are read one after the other


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(None, 0), (1, 1000), (0.5, 500), (0.0001, 1), (5e-324, 1), (TTL_MAX, TTL_MAX * 1000)],
)
def test_a_ttl_is_whole_milliseconds_and_never_none_of_them(ttl: Any, expected: int) -> None:
    assert ttl_ms(ttl) == expected


WRONG_RANGE = [0, 0.0, -1, -0.001, float("nan"), float("inf"), TTL_MAX + 1, 1e300, 10**400]
WRONG_TYPE = [True, False, "5", b"5", Decimal(5), [5], (), 5j]


@pytest.mark.parametrize("ttl", WRONG_RANGE, ids=str)
def test_a_ttl_out_of_range_is_refused_and_nothing_is_written(
    store: shardkv.Store, ttl: float
) -> None:
    for write in writes(store, ttl):
        with pytest.raises(shardkv.InvalidError, match="ttl is"):
            write()
    assert store.stats().seqno == 0


@pytest.mark.parametrize("ttl", WRONG_TYPE, ids=str)
def test_a_ttl_that_is_no_number_is_refused_and_nothing_is_written(
    store: shardkv.Store, ttl: Any
) -> None:
    for write in writes(store, ttl):
        with pytest.raises(TypeError, match="ttl must be a number of seconds"):
            write()
    assert store.stats().seqno == 0


def writes(store: shardkv.Store, ttl: Any) -> list[Any]:
    def batch() -> None:
        with store.batch() as batch:
            batch.put(b"other", b"value")
            batch.put(b"key", b"value", ttl=ttl)

    return [
        lambda: store.put(b"key", b"value", ttl=ttl),
        lambda: store.submit(b"key", b"value", ttl=ttl),
        lambda: store.put_many({b"key": b"value"}, ttl=ttl),
        batch,
    ]


def test_the_engine_checks_a_ttl_too(store: shardkv.Store) -> None:
    engine = store._engine
    most = TTL_MAX * 1000
    for call in (
        lambda: engine.put(b"key", b"value", 2, 1.0, most + 1),
        lambda: engine.put(b"key", b"value", 2, 1.0, 2**64 - 1),
        lambda: engine.apply(shardkv._native.pack([(b"key", b"value")]), 2, 1.0, most + 1),
        lambda: engine.apply(shardkv._native.pack([(b"key", b"value", most + 1)]), 2, 1.0),
    ):
        with pytest.raises(shardkv.InvalidError, match="ttl"):
            call()
    with pytest.raises(TypeError, match="item 1: the ttl is not a number"):
        engine.apply(shardkv._native.pack([b"key", (b"key", b"value", b"1")]), 2, 1.0)
    assert store.stats().seqno == 0


def test_a_pair_of_put_many_has_no_ttl_of_its_own(store: shardkv.Store) -> None:
    """A third number would be milliseconds for the engine, and nobody had said so."""
    with pytest.raises(TypeError, match="item 0"):
        store.put_many([(b"key", b"value", 60)])  # type: ignore[list-item]
    assert store.stats().seqno == 0


def test_a_shift_of_the_clock_has_a_range(store: shardkv.Store) -> None:
    for shift in (TTL_MAX * 1000 + 1, -TTL_MAX * 1000 - 1):
        with pytest.raises(shardkv.InvalidError, match="shift"):
            store._engine.shift_clock(shift)


def test_the_clock_survives_reopening_on_a_machine_whose_clock_was_set_back(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        least = store._engine.clock_ms() + YEARS_10 * 1000 - SLACK_MS
        store._engine.shift_clock(YEARS_10 * 1000)
        assert store._engine.clock_ms() >= least
    for _ in range(2):  # the second time nothing but the side file knows
        with shardkv.open(tmp_path / "store") as store:
            assert store._engine.clock_ms() >= least
            store._engine.shift_clock(-YEARS_10 * 1000)
            assert store._engine.clock_ms() >= least
