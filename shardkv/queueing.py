"""Queueing theory in a few formulas: how long a request waits, from its rate and its service time.

Pure. Rates are per second, times in seconds. A queue that gets more than it can serve has the wait `inf`.

The log is a queue with group service: a sync serves everybody who waits when it begins. The flush is a
queue with one server.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a service time: how many were seen, their mean, and the mean of their squares."""

    count: int
    mean: float
    square: float

    @property
    def residual(self) -> float:
        """Mean rest of the service that an arrival finds under way."""
        return self.square / (2 * self.mean) if self.mean else 0.0


def moments(histogram: Sequence[int], unit: float = 1.0) -> Moments:
    """Estimate the moments of a histogram of `Stats`, whose buckets are powers of two.

    Values are taken as spread evenly over their bucket, so the mean may be off by a quarter at most
    when all lie in one bucket, and by less when they lie in several.

    Args:
        histogram: counts; bucket i holds the values in [2**i, 2**(i+1)).
        unit: of the values, as 1e-6 for microseconds.
    """
    count = sum(histogram)
    if not count:
        return Moments(0, 0.0, 0.0)
    first = sum(number * 1.5 * 2**i for i, number in enumerate(histogram))
    second = sum(number * 7 / 3 * 4**i for i, number in enumerate(histogram))
    return Moments(count, first * unit / count, second * unit**2 / count)


def utilisation(rate: float, service: float, servers: int = 1) -> float:
    """Return the share of time that a server is busy; 1 and more cannot be sustained."""
    return rate * service / servers


def little(rate: float, wait: float) -> float:
    """Return how many are in a system on average: Little's law, L = rate x time in the system."""
    return rate * wait


def mm1_wait(rate: float, service: float) -> float:
    """Return the mean time in an M/M/1 system, service included."""
    return service / (1 - rate * service) if rate * service < 1 else math.inf


def mg1_wait(rate: float, service: Moments) -> float:
    """Return the mean time in an M/G/1 system, service included: Pollaczek and Khinchine."""
    busy = rate * service.mean
    return service.mean + busy * service.residual / (1 - busy) if busy < 1 else math.inf


def erlang_c(load: float, servers: int) -> float:
    """Return the chance that an arrival must wait in M/M/c.

    Args:
        load: rate x service time, in Erlang.
        servers: how many, at least 1.
    """
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang's B for 0 servers; each step adds one
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def mmc_wait(rate: float, service: float, servers: int) -> float:
    """Return the mean time in an M/M/c system, service included."""
    load = rate * service
    if load >= servers:
        return math.inf
    return service + erlang_c(load, servers) * service / (servers - load)


def group_busy(rate: float, service: float) -> float:
    """Return the share of time that a server of groups is busy, when each service takes the same time.

    A service that nobody arrived in is followed by an idle time of 1 / rate on average.
    """
    load = rate * service
    return 1 / (1 + math.exp(-load) / load) if load > 0 else 0.0


def group_wait(rate: float, service: Moments) -> float:
    """Return the mean time in a system that serves all who wait as one group, service included.

    M/G/1 with bulk service of unlimited size and a service time that does not depend on the group: an
    arrival waits for the rest of what is under way, if anything is, and then for its own group. Never more
    than twice the service time when that does not vary.
    """
    return service.mean + group_busy(rate, service.mean) * service.residual
