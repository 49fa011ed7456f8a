"""The ring: balance, weights, what moves when a shard comes or goes, and FORMAT.md 9 by brute force."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as some

import shardkv
from shardkv._native import ring_pick

TOP = 2**64
SEED, POINTS = 0x736861726B76, 4096
MANY = 1 << 20

# Placement is part of the format: these hold in every release, on every platform.
GOLDEN = [
    (None, 8, [0, 1, TOP - 1, TOP // 2], [2, 2, 2, 7]),
    ([3, 1, 2], 3, [0, TOP - 1, TOP // 2], [2, 2, 0]),
]


def evenly(count: int) -> list[int]:
    """Return hashes that cut the circle into equal parts: as good as all of them for a share."""
    return [n * (TOP // count) for n in range(count)]


@cache
def points_of(shard: int, weight: int) -> tuple[tuple[int, int], ...]:
    return tuple(
        (xxhash.xxh64_intdigest(struct.pack("<II", shard, i), SEED), shard)
        for i in range(POINTS * weight)
    )


def circle(weights: Sequence[int]) -> list[tuple[int, int]]:
    return sorted(point for shard, w in enumerate(weights) for point in points_of(shard, w))


def pick_slowly(points: Sequence[tuple[int, int]], hashes: Iterable[int]) -> list[int]:
    return [points[bisect_left(points, (hash_, -1)) % len(points)][1] for hash_ in hashes]


@pytest.mark.parametrize(("weights", "shards", "hashes", "picked"), GOLDEN)
def test_placement_has_its_golden_values(
    weights: list[int] | None, shards: int, hashes: list[int], picked: list[int]
) -> None:
    assert ring_pick(weights, shards, hashes) == picked


@settings(max_examples=25)
@given(
    weights=some.lists(some.integers(1, 5), min_size=1, max_size=6),
    hashes=some.lists(some.integers(0, TOP - 1), max_size=50),
    near=some.lists(some.tuples(some.integers(0, 2**32), some.integers(-2, 2)), max_size=200),
)
def test_a_ring_is_the_one_that_the_format_describes(
    weights: list[int], hashes: list[int], near: list[tuple[int, int]]
) -> None:
    points = circle(weights)
    asked = [0, 1, TOP - 1, points[0][0], points[-1][0], points[-1][0] + 1, *hashes]
    asked += [(points[at % len(points)][0] + by) % TOP for at, by in near]
    assert ring_pick(weights, len(weights), asked) == pick_slowly(points, asked)


def test_every_point_and_its_neighbours_have_the_right_owner() -> None:
    points = circle([1] * 8)
    asked = [(hash_ + by) % TOP for hash_, _ in points for by in (-1, 0, 1)]
    assert ring_pick(None, 8, asked) == pick_slowly(points, asked)


@pytest.mark.parametrize("shards", [2, 8, 64])
def test_the_fullest_shard_has_at_most_5_percent_more_than_the_mean(shards: int) -> None:
    share = Counter(ring_pick(None, shards, evenly(MANY)))
    assert len(share) == shards
    assert max(share.values()) <= 1.05 * MANY / shards
    assert min(share.values()) >= 0.93 * MANY / shards


@pytest.mark.parametrize("weights", [[1, 2], [1, 64], [3, 1, 2], [5, 5, 10, 20, 1], [64] * 16])
def test_shares_are_as_the_weights(weights: list[int]) -> None:
    share = Counter(ring_pick(weights, len(weights), evenly(MANY)))
    for shard, weight in enumerate(weights):
        fair = MANY * weight / sum(weights)
        assert share[shard] == pytest.approx(fair, rel=0.06), shard


@given(weight=some.integers(2, 9), shards=some.integers(1, 6))
@settings(max_examples=10)
def test_equal_weights_are_near_to_no_weights(weight: int, shards: int) -> None:
    hashes = evenly(1 << 14)
    assert ring_pick([1] * shards, shards, hashes) == ring_pick(None, shards, hashes)
    heavy = Counter(ring_pick([weight] * shards, shards, hashes))
    assert all(heavy[shard] == pytest.approx(2**14 / shards, rel=0.1) for shard in range(shards))


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 16, 63])
def test_one_shard_more_takes_its_share_and_moves_nothing_else(shards: int) -> None:
    """Read backwards: one shard less gives its share to all others and moves nothing else (P7)."""
    hashes = evenly(1 << 18)
    before, after = ring_pick(None, shards, hashes), ring_pick(None, shards + 1, hashes)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {shards}
    assert {old for old, _ in moved} == set(range(shards))
    assert len(moved) == pytest.approx(len(hashes) / (shards + 1), rel=0.08)
    given_by = Counter(old for old, _ in moved)
    assert max(given_by.values()) <= 2 * len(moved) / shards


@given(
    weights=some.lists(some.integers(1, 6), min_size=2, max_size=6),
    which=some.integers(0, 5),
    more=some.integers(1, 6),
)
@settings(max_examples=20)
def test_more_weight_only_takes_and_less_only_gives(
    weights: list[int], which: int, more: int
) -> None:
    shard = which % len(weights)
    heavier = [*weights]
    heavier[shard] += more
    hashes = evenly(1 << 14)
    before = ring_pick(weights, len(weights), hashes)
    after = ring_pick(heavier, len(weights), hashes)
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert {new for _, new in moved} == {shard}


@pytest.mark.parametrize(
    ("weights", "shards"),
    [(None, 0), (None, 257), ([0], 1), ([65], 1), ([1, 0, 1], 3), ([64] * 16 + [1], 17)],
)
def test_a_layout_out_of_range_is_refused(weights: list[int] | None, shards: int) -> None:
    with pytest.raises(shardkv.InvalidError):
        ring_pick(weights, shards, [0])
