"""Many threads on few keys: answers are exact, batches are seen whole."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from stress.traffic import together

import shardkv

SMALL = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}
THREADS = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store", shards=3, **SMALL) as store:
        yield store


def test_of_many_deletes_of_one_key_exactly_one_was_true(store: shardkv.Store) -> None:
    rounds = 200
    won = [0] * rounds
    gate = threading.Barrier(THREADS)

    def delete(number: int) -> None:
        for turn in range(rounds):
            if number == 0:
                store.put(b"one", b"%d" % turn, ack="memory")
            if number == 1 and turn % 10 == 0:
                store.flush()
            gate.wait()
            if store.delete(b"one", ack="memory"):
                won[turn] += 1
            gate.wait()

    together(THREADS, delete)
    assert won == [1] * rounds


def test_every_pop_returns_another_value(store: shardkv.Store) -> None:
    count = 3000
    store.put_many({b"%04d" % n: b"value %d" % n for n in range(count)})
    popped: list[bytes] = []

    def pop(number: int) -> None:
        order = random.Random(number).sample(range(count), count)
        with shardkv.open(store.path, ack="memory") as quick:
            values = [quick.pop(b"%04d" % n, None) for n in order]
            quick.flush()
        popped.extend(value for value in values if value is not None)

    together(THREADS, pop)
    assert sorted(popped) == sorted(b"value %d" % n for n in range(count))
    assert len(store) == 0


def test_delete_many_counts_each_key_once_whoever_deletes_it(store: shardkv.Store) -> None:
    keys = [b"%04d" % n for n in range(4000)]
    store.put_many(dict.fromkeys(keys, b"v"))
    counts = [0] * THREADS

    def delete(number: int) -> None:
        mine = random.Random(number).sample(keys, len(keys))
        counts[number] = store.delete_many(mine, ack="memory")

    together(THREADS, delete)
    assert sum(counts) == len(keys)
    assert list(store) == []


def test_threads_read_their_own_writes(store: shardkv.Store) -> None:
    def write_and_read(number: int) -> None:
        rng = random.Random(number)
        mine: dict[bytes, bytes | None] = {}
        for turn in range(400):
            key = b"%d-%d" % (number, rng.randrange(20))
            if rng.random() < 0.7:
                mine[key] = b"%d" % turn * rng.choice([1, 100, 2000])
                store.put(key, mine[key], ack=rng.choice(["memory", "disk"]))
            else:
                assert store.delete(key) == (mine.get(key) is not None)
                mine[key] = None
            asked = rng.choice(list(mine))
            assert store.get(asked) == mine[asked]
            if turn % 50 == number:
                store.flush()
        prefix = b"%d-" % number
        here = sorted((key, value) for key, value in mine.items() if value is not None)
        assert list(store.scan(prefix=prefix)) == here

    together(THREADS, write_and_read)


def test_seqnos_are_given_once_and_follow_each_thread(store: shardkv.Store) -> None:
    given: list[list[int]] = [[] for _ in range(THREADS)]

    def put(number: int) -> None:
        for turn in range(300):
            given[number].append(store.put(b"%d" % number, b"%d" % turn, ack="memory"))

    together(THREADS, put)
    assert all(mine == sorted(mine) for mine in given)
    assert sorted(chain(*given)) == list(range(1, 300 * THREADS + 1))


def test_concurrent_puts_of_one_key_leave_the_value_with_the_highest_seqno(
    store: shardkv.Store,
) -> None:
    written: dict[int, bytes] = {}

    def put(number: int) -> None:
        for turn in range(200):
            value = b"%d of %d" % (turn, number)
            written[store.put(b"one", value, ack="memory")] = value

    together(THREADS, put)
    assert store[b"one"] == written[max(written)]


def test_a_count_under_writers_is_never_off(store: shardkv.Store) -> None:
    """Each writer has one key there at any time: a batch puts the next and deletes the last."""
    store.put_many({b"%d-0" % number: b"" for number in range(THREADS - 1)})
    over = threading.Event()

    def work(number: int) -> None:
        if number == THREADS - 1:
            for turn in range(100):
                assert len(store) == THREADS - 1
                if turn % 10 == 0:
                    store.flush()
            over.set()
        turn = 0
        while not over.is_set():
            with store.batch(ack="memory") as batch:
                batch.delete(b"%d-%d" % (number, turn))
                turn += 1
                batch.put(b"%d-%d" % (number, turn), b"")

    together(THREADS, work)
