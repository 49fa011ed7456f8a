"""Many threads on few keys: no update is lost, however often the keys move from the log into the shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from stress.traffic import Team, together

import shardkv

SMALL = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}
THREADS = 6
TURNS = 300


@pytest.fixture
def store(tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store", shards=2, ack="memory", **SMALL) as store:
        yield store


def add_one_by_incr(store: shardkv.Store, key: bytes) -> None:
    store.incr(key)


def add_one_by_cas(store: shardkv.Store, key: bytes) -> None:
    for _ in count():
        entry = store.get_entry(key)
        value, version = (int(entry.value), entry.version) if entry else (0, 0)
        if store.cas(key, b"%d" % (value + 1), version):
            return


def add_one_by_turns(store: shardkv.Store, key: bytes) -> None:
    """Take the number out, and put it back larger."""
    for _ in count():
        taken = store.pop(key, None)
        if taken is not None:
            assert store.add(key, b"%d" % (int(taken) + 1))
            return


WAYS = [add_one_by_incr, add_one_by_cas, add_one_by_turns]


@pytest.mark.parametrize("add_one", WAYS)
def test_no_update_is_lost_while_flushes_move_the_keys(
    store: shardkv.Store, add_one: Callable[[shardkv.Store, bytes], None]
) -> None:
    keys = [b"a", b"b", b"c"]
    for key in keys:
        store.put(key, b"0")
    team, left = Team(), iter(range(1, THREADS))

    def work() -> None:
        for turn in range(TURNS):
            add_one(store, keys[turn % len(keys)])
        if next(left, None) is None:
            team.over.set()

    def flush() -> None:
        while not team.over.is_set():
            store.flush()

    team.run([*[work] * THREADS, flush])
    assert sum(int(store[key]) for key in keys) == THREADS * TURNS


def test_of_many_adds_of_one_key_exactly_one_wins(store: shardkv.Store) -> None:
    won: list[tuple[int, int]] = []

    def add(number: int) -> None:
        for turn in range(TURNS):
            if store.add(b"%d" % turn, b"%d" % number):
                won.append((turn, number))
            if turn % 50 == number:
                store.flush()

    together(THREADS, add)
    assert sorted(turn for turn, _ in won) == list(range(TURNS))
    assert dict(store) == {b"%d" % turn: b"%d" % number for turn, number in won}


def test_what_was_counted_is_durable_when_it_is_told(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:

        def count_up(number: int) -> None:
            for _ in range(100):
                store.incr(b"hot")
                entry = store.get_entry(b"hot")
                assert entry is not None
                assert entry.version <= store.stats().durable_seqno

        together(4, count_up)
