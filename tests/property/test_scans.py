"""Scans of random ranges equal slices of a sorted dict, wherever the records lie."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import shardkv
from shardkv._native import RESERVED

Model = dict[bytes, bytes]
# Where the records lie: all unflushed, all in shards, or some deleted and replaced above others.
LAYERS = ("log", "shards", "both")

alphabet = some.sampled_from(b"\x00\x01az\xfe\xff")
bounds = some.one_of(some.none(), some.lists(alphabet, max_size=5).map(bytes), some.binary())


def some_keys(rng: random.Random, count: int) -> list[bytes]:
    letters = b"\x00\x01az\xfe\xff"
    made = [bytes(rng.choices(letters, k=rng.randint(1, 6))) for _ in range(count)]
    return [key for key in made if not key.startswith(RESERVED)]


def fill(store: shardkv.Store, layer: str, rng: random.Random) -> Model:
    model = {key: rng.randbytes(rng.choice([0, 3, 2000])) for key in some_keys(rng, 1500)}
    store.put_many(model)
    if layer == "log":
        return model
    store.flush()
    if layer == "both":
        newer = dict.fromkeys([*rng.sample(sorted(model), 300), *some_keys(rng, 100)], b"newer")
        gone = rng.sample(sorted(model), 300)
        store.put_many(newer)
        store.delete_many(gone)
        model.update(newer)
        for key in gone:
            del model[key]
    return model


@pytest.fixture(scope="module", params=LAYERS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[shardkv.Store, Model]]:
    path: Path = tmp_path_factory.mktemp("scans") / "store"
    with shardkv.open(path, shards=5) as store:
        yield store, fill(store, request.param, random.Random(request.param))


@settings(max_examples=150)
@given(
    start=bounds,
    stop=bounds,
    prefix=bounds,
    reverse=some.booleans(),
    limit=some.one_of(some.none(), some.integers(0, 200)),
    of_snapshot=some.booleans(),
)
def test_a_scan_is_a_slice_of_the_sorted_dict(
    filled: tuple[shardkv.Store, Model],
    start: bytes | None,
    stop: bytes | None,
    prefix: bytes | None,
    reverse: bool,
    limit: int | None,
    of_snapshot: bool,
) -> None:
    store, model = filled
    expected = [
        (key, model[key])
        for key in sorted(model, reverse=reverse)
        if (start is None or key >= start)
        and (stop is None or key < stop)
        and (prefix is None or key.startswith(prefix))
    ][:limit]
    asked: dict[str, Any] = {"prefix": prefix, "reverse": reverse, "limit": limit}
    with store.snapshot() as cut:
        source: Any = cut if of_snapshot else store
        assert list(source.scan(start, stop, **asked)) == expected
        assert list(source.scan(start, stop, values=False, **asked)) == [k for k, _ in expected]


@settings(max_examples=40)
@given(taken=some.integers(0, 1500), reverse=some.booleans())
def test_a_scan_may_be_left_anywhere(
    filled: tuple[shardkv.Store, Model], taken: int, reverse: bool
) -> None:
    store, model = filled
    rows = store.scan(reverse=reverse)
    assert list(islice(rows, taken)) == sorted(model.items(), reverse=reverse)[:taken]


def test_the_number_of_rows_is_the_length(filled: tuple[shardkv.Store, Model]) -> None:
    store, model = filled
    assert len(store) == len(model) == sum(1 for _ in store)
