"""Records that expire beside readers, flushes and sweeps: those of one batch are gone in one moment, and for good."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from stress.traffic import Team

import shardkv

SIZE, GROUPS, READERS = 5, 2_000, 3


def keys_of(group: int) -> list[bytes]:
    return [b"%06d/%d" % (group, number) for number in range(SIZE)]


def whole(keys: Iterable[bytes]) -> set[int]:
    """Return the groups that are there, none of them in part."""
    counts = Counter(int(key[:6]) for key in keys)
    assert set(counts.values()) <= {SIZE}
    return set(counts)


def in_snapshot(store: shardkv.Store) -> set[int]:
    with store.snapshot() as cut:
        found = whole(cut.scan(values=False))
        for _ in range(2):
            asked = itertools.chain.from_iterable(keys_of(group) for group in found)
            assert whole(cut.get_many(asked)) == found
            assert whole(cut.scan(reverse=True, values=False)) == found
    return found


def in_transaction(store: shardkv.Store) -> set[int]:
    with store.transaction() as transaction:
        return whole(transaction.scan(values=False))


CUTS: list[Callable[[shardkv.Store], set[int]]] = [
    lambda store: whole(key for key, _ in store.scan()),
    lambda store: whole(store.scan(reverse=True, values=False)),
    in_snapshot,
    in_transaction,
]


def read(store: shardkv.Store, over: threading.Event, seed: int) -> None:
    rng, before, gone = random.Random(seed), set[int](), set[int]()
    while not over.is_set():
        here = rng.choice(CUTS)(store)
        gone |= before - here
        assert not gone & here, "it was gone"
        before = here
        for group in rng.sample(sorted(gone), min(len(gone), 5)):
            assert store.get_many(keys_of(group)) == {}


def write(store: shardkv.Store, over: threading.Event, seed: int) -> None:
    rng = random.Random(seed)
    try:
        for group in range(GROUPS):
            store.put_many(dict.fromkeys(keys_of(group), b"v"), ttl=rng.uniform(0.001, 0.05))
    finally:
        over.set()


@pytest.mark.parametrize("flushing", [False, True])
def test_what_expires_together_is_gone_in_one_moment_and_for_good(
    tmp_path: Path, flushing: bool, rng: random.Random
) -> None:
    with shardkv.open(tmp_path / "store", shards=3, ack="memory") as store:
        team = Team()

        def flush() -> None:
            while not team.over.is_set():
                store.flush()

        works = [partial(read, store, team.over, rng.randrange(1 << 32)) for _ in range(READERS)]
        works.append(partial(write, store, team.over, rng.randrange(1 << 32)))
        team.run([*works, flush] if flushing else works)
