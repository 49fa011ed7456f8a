"""Rates, rests, delays and patience, by a clock that stands until somebody waits."""

from __future__ import annotations

import pytest

import shardkv
from shardkv.pacing import Delays, Pace, Patience, Rests


class Time:
    """A clock, and a wait that moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def test_a_slow_disk_earns_no_credit() -> None:
    time = Time()
    pace = Pace(1000, clock=time.clock, wait=time.waits.append)
    for at, written in ((200, 1000), (200, 2000), (201, 2500)):
        time.now = at
        pace.rest(written)
    assert time.waits == [0, 1, 0.5]


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(shardkv.InvalidError):
        Pace(0)


@pytest.mark.parametrize(
    ("rate", "piece"), [(None, 0), (1, 1), (800, 101), (1 << 26, 8 << 20), (1 << 50, 8 << 20)]
)
def test_a_piece_is_an_eighth_of_a_second_and_never_large(rate: int | None, piece: int) -> None:
    assert Pace(rate).piece_bytes == piece


def test_a_copy_beside_writers_works_a_third_of_the_time() -> None:
    time, newest = Time(), [0]
    rests = Rests(lambda: newest[0], clock=time.clock, wait=time.wait)
    for took in (0.01, 0.1, 0.25):
        time.now += took
        newest[0] += 1
        rests.rest()
    assert time.waits == pytest.approx([0.02, 0.2, 0.5])


def test_a_rest_after_a_piece_that_hung_is_no_longer_than_a_second() -> None:
    time, newest = Time(), [0]
    rests = Rests(lambda: newest[0], clock=time.clock, wait=time.wait)
    time.now += 3600
    newest[0] += 1
    rests.rest()
    assert time.waits == [1]


def test_a_copy_of_a_store_that_nobody_writes_to_does_not_rest() -> None:
    time, newest = Time(), [7]
    rests = Rests(lambda: newest[0], clock=time.clock, wait=time.wait)
    for written in (False, True, False, False):
        time.now += 0.1
        newest[0] += written
        rests.rest()
    assert time.waits == pytest.approx([0.2])


def test_what_is_written_during_a_rest_asks_for_no_other_one() -> None:
    time, newest = Time(), [0]

    def wait(seconds: float) -> None:
        time.wait(seconds)
        newest[0] += 1

    rests = Rests(lambda: newest[0], clock=time.clock, wait=wait)
    newest[0] += 1
    for _ in range(3):
        time.now += 0.1
        rests.rest()
    assert time.waits == pytest.approx([0.2])


def test_delays_double_up_to_half_a_minute_and_begin_anew_after_a_good_time() -> None:
    delays = Delays()
    assert [delays.next(well=False) for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [delays.next(well=well) for well in (True, False, False)] == [0.25, 0.5, 1]


def test_patience_lasts_as_long_as_somebody_gets_on() -> None:
    time = Time()
    patience = Patience(1.0, clock=time.clock)
    told = []
    for seen in (0, 1, 2, 2, 2, 3, 3, 3, 3):
        told.append(patience.lasts(seen))
        time.now += 0.5
    assert told == [True, True, True, True, False, True, True, False, False]
