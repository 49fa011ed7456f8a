"""The formulas of queueing theory, held against textbook values and against a simulation."""

from __future__ import annotations

import math
import random
from itertools import accumulate

import pytest

from shardkv.queueing import (
    Moments,
    erlang_c,
    group_busy,
    group_wait,
    little,
    mg1_wait,
    mm1_wait,
    mmc_wait,
    moments,
    utilisation,
)

EXPONENTIAL = Moments(1, 1.0, 2.0)
CONSTANT = Moments(1, 1.0, 1.0)


def test_one_server() -> None:
    # The textbook's shop: 4 arrivals an hour, 5 served an hour: busy 80 %, 4 inside, an hour each.
    assert utilisation(4, 1 / 5) == pytest.approx(0.8)
    assert mm1_wait(4, 1 / 5) == pytest.approx(1.0)
    assert little(4, mm1_wait(4, 1 / 5)) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("load", "servers", "chance"),
    [(0.5, 1, 0.5), (1.0, 2, 1 / 3), (2.0, 3, 4 / 9), (8.0, 10, 0.4092), (20.0, 24, 0.2981)],
)
def test_erlang_c_gives_the_values_of_the_tables(load: float, servers: int, chance: float) -> None:
    assert erlang_c(load, servers) == pytest.approx(chance, abs=5e-5)


def test_several_servers() -> None:
    # 2 servers, load 1: Wq = (1/3) / (2 - 1), so W = 4/3; one server is M/M/1.
    assert mmc_wait(1.0, 1.0, 2) == pytest.approx(4 / 3)
    assert mmc_wait(0.8, 1.0, 1) == pytest.approx(mm1_wait(0.8, 1.0))


def test_a_constant_service_time_halves_the_time_in_the_queue() -> None:
    assert mg1_wait(0.8, EXPONENTIAL) == pytest.approx(mm1_wait(0.8, 1.0))
    assert mg1_wait(0.8, CONSTANT) - 1 == pytest.approx((mm1_wait(0.8, 1.0) - 1) / 2)


def test_more_than_can_be_served_never_ends() -> None:
    assert mm1_wait(1.0, 1.0) == math.inf
    assert mg1_wait(2.0, CONSTANT) == math.inf
    assert mmc_wait(3.0, 1.0, 3) == math.inf
    assert erlang_c(3.0, 3) == 1.0


def test_groups_have_no_limit() -> None:
    assert group_wait(1e-9, CONSTANT) == pytest.approx(1.0)
    assert group_wait(1e9, CONSTANT) == pytest.approx(1.5)
    assert group_busy(0.0, 1.0) == 0.0
    assert group_busy(1.0, 1.0) == pytest.approx(math.e / (math.e + 1))


@pytest.mark.parametrize("rate", [0.3, 1.0, 5.0])
def test_groups_wait_as_simulated(rate: float) -> None:
    chance = random.Random(7)
    arrivals = list(accumulate(chance.expovariate(rate) for _ in range(100_000)))
    waited, first, free = 0.0, 0, 0.0
    while first < len(arrivals):
        begin = max(free, arrivals[first])
        end = first
        while end < len(arrivals) and arrivals[end] <= begin:
            end += 1
        free = begin + 1.0
        waited += sum(free - at for at in arrivals[first:end])
        first = end
    assert waited / len(arrivals) == pytest.approx(group_wait(rate, CONSTANT), rel=0.01)


def test_moments_of_a_histogram() -> None:
    assert moments(()) == Moments(0, 0.0, 0.0)
    found = moments((0, 0, 2, 2), 1e-6)
    assert found.count == 4
    assert found.mean == pytest.approx(9e-6)  # 6 us and 12 us, as many of each
    assert found.square == pytest.approx((7 / 3 * 16 + 7 / 3 * 64) / 2 * 1e-12)
    assert Moments(1, 2.0, 4.0).residual == pytest.approx(1.0)
    assert moments(()).residual == 0.0
