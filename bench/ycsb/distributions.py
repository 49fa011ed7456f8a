"""Which record an operation asks for: YCSB's request distributions, a whole stream at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.ycsb.keys import Numbers, fnv64

THETA = 0.99
ALPHA = 1 / (1 - THETA)
ZETA_2 = 1 + 0.5**THETA
#: Scrambled zipfian draws from this many items, whatever the record count, and spreads them by hash.
SCRAMBLED_ITEMS = 10_000_000_000 + 1
SCRAMBLED_ZETA = 26.46902820178302

Floats = NDArray[np.float64]


def zeta(items: int) -> float:
    """Return the sum of 1 / i^THETA for i in 1 .. items. Cost: linear in `items`."""
    return float(np.sum(np.arange(1, items + 1, dtype=np.float64) ** -THETA))


def eta(items: int, zeta_items: Floats | float) -> Floats | float:
    """Return Gray's eta for `items` items."""
    found: Floats | float = (1 - (2 / items) ** (1 - THETA)) / (1 - ZETA_2 / zeta_items)
    return found


def ranks(
    draws: Floats, items: Numbers | int, zeta_items: Floats | float, its_eta: Floats | float
) -> Numbers:
    """Return zipfian ranks, 0 the most popular, for uniform draws from [0, 1).

    Source: Gray et al., "Quickly Generating Billion-Record Synthetic Databases", as YCSB has it.
    """
    found = (items * (its_eta * draws - its_eta + 1) ** ALPHA).astype(np.int64)
    scaled = draws * zeta_items
    found[scaled < ZETA_2] = 1
    found[scaled < 1] = 0
    return found


def scrambled(draws: Floats, items: int) -> Numbers:
    """Return numbers in [0, items), zipfian, with the popular ones anywhere."""
    its_eta = eta(SCRAMBLED_ITEMS, SCRAMBLED_ZETA)
    return fnv64(ranks(draws, SCRAMBLED_ITEMS, SCRAMBLED_ZETA, its_eta)) % items


def latest(draws: Floats, first: int, items: Numbers) -> Numbers:
    """Return distances from the newest record, zipfian, 0 the newest.

    Args:
        draws: uniform, from [0, 1).
        first: the item count that the generator began with: YCSB keeps it inside eta.
        items: the item count at each draw, ascending, at least `first`.
    """
    last = int(items[-1]) if len(items) else first
    grown = np.arange(first + 1, last + 1, dtype=np.float64) ** -THETA
    zetas = zeta(first) + np.concatenate(([0.0], np.cumsum(grown)))
    its_zetas = zetas[items - first]
    return ranks(draws, items, its_zetas, eta(first, its_zetas))
