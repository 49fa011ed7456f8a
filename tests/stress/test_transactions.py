"""Transactions among threads: as if one came after the other, whatever is flushed meanwhile."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from stress.traffic import Team, together

import shardkv

SMALL = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}
THREADS = 4
TURNS = 150
MANY = 10_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store", shards=2, ack="memory", **SMALL) as store:
        yield store


def beside_flushes(store: shardkv.Store, count: int, work: Callable[[int], None]) -> None:
    """Run work(0), work(1), ... while the store is flushed all the time."""
    team = Team()
    left = iter(range(1, count))
    guard = threading.Lock()

    def run(number: int) -> None:
        work(number)
        with guard:
            if next(left, None) is None:
                team.over.set()

    def flush() -> None:
        while not team.over.is_set():
            store.flush()

    team.run([flush, *(lambda number=number: run(number) for number in range(count))])


def test_no_update_is_lost(store: shardkv.Store) -> None:
    def add_one(t: shardkv.Transaction) -> None:
        t.put(b"n", b"%d" % (int(t.get(b"n", b"0")) + 1))

    def work(number: int) -> None:
        for _ in range(TURNS):
            store.run_transaction(add_one, retries=MANY)

    beside_flushes(store, THREADS, work)
    assert store[b"n"] == b"%d" % (THREADS * TURNS)


@pytest.mark.parametrize("how", ["keys", "ranges"])
def test_write_skew_does_not_happen(store: shardkv.Store, how: str) -> None:
    """Of two who are on call one may leave, as long as the other stays: nobody may see both and leave together."""
    names = [b"on call 1", b"on call 2"]
    gate = threading.Barrier(2)

    def leave(t: shardkv.Transaction, mine: bytes) -> None:
        if how == "keys":
            there = [name for name in names if t.get(name) == b"yes"]
        else:
            there = [name for name, value in t.scan(prefix=b"on call") if value == b"yes"]
        if len(there) == 2:
            t.put(mine, b"no")

    def work(number: int) -> None:
        for turn in range(TURNS):
            if number == 0:
                store.put_many(dict.fromkeys(names, b"yes"))
                if turn % 3 == 0:
                    store.flush()
            gate.wait()
            store.run_transaction(lambda t: leave(t, names[number]), retries=MANY)
            gate.wait()
            assert sorted(store[name] for name in names) == [b"no", b"yes"], f"turn {turn}"
            gate.wait()

    together(2, work)


def test_a_number_is_given_once_to_who_counts_rows(store: shardkv.Store) -> None:
    """Each row is named by how many there were: two who counted the same would be phantoms of each other."""

    def add_row(t: shardkv.Transaction, number: int) -> int:
        count = sum(1 for _ in t.scan(prefix=b"row", values=False))
        t.put(b"row %05d" % count, b"%d" % number)
        return count

    given: list[int] = []

    def work(number: int) -> None:
        for _ in range(TURNS // 2):
            given.append(store.run_transaction(lambda t: add_row(t, number), retries=MANY))

    beside_flushes(store, THREADS, work)
    assert sorted(given) == list(range(THREADS * (TURNS // 2)))


def test_a_queue_gives_each_item_once_and_in_order(store: shardkv.Store) -> None:
    """Items join behind the last row and are taken from before the first: ranges that end after a row or two."""
    taken: dict[int, int] = {}

    def add(t: shardkv.Transaction) -> None:
        last = next(t.scan(prefix=b"item", reverse=True, limit=1, values=False), b"item -1")
        t.put(b"item %05d" % (int(last[5:]) + 1), b"")

    def take(t: shardkv.Transaction) -> tuple[shardkv.Transaction, list[bytes]]:
        first = list(t.scan(prefix=b"item", limit=2, values=False))
        if len(first) == 2:  # the last one stays, to be counted on from
            t.delete(first[0])
        return t, first[:-1]

    def work(number: int) -> None:
        for _ in range(TURNS):
            if number % 2:
                store.run_transaction(add, retries=MANY)
                continue
            transaction, rows = store.run_transaction(take, retries=MANY)
            if rows:
                taken[transaction.seqno or 0] = int(rows[0][5:])

    beside_flushes(store, THREADS, work)
    left = [int(key[5:]) for key in store.scan(prefix=b"item", values=False)]
    assert [taken[seqno] for seqno in sorted(taken)] == list(range(len(taken)))
    assert left == list(range(len(taken), THREADS * TURNS // 2))


def test_money_is_neither_made_nor_lost(store: shardkv.Store) -> None:
    accounts = [b"account %d" % n for n in range(6)]
    store.put_many(dict.fromkeys(accounts, b"100"))

    def transfer(t: shardkv.Transaction, rng: random.Random) -> None:
        one, other = rng.sample(accounts, 2)
        have, amount = int(t[one]), rng.randint(1, 60)
        if have >= amount:
            t[one] = b"%d" % (have - amount)
            t[other] = b"%d" % (int(t[other]) + amount)

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(TURNS):
            store.run_transaction(lambda t: transfer(t, rng), retries=MANY)
            with store.transaction() as t:
                values = [int(value) for _, value in t.scan(prefix=b"account")]
            assert sum(values) == 600
            assert min(values) >= 0

    beside_flushes(store, THREADS, work)


def test_a_commit_is_judged_beside_batches_that_never_stop(store: shardkv.Store) -> None:
    """The end of the log runs away from who walks it; commits go through all the same."""
    team = Team()

    def flood() -> None:
        turn = 0
        while not team.over.is_set():
            turn += 1
            store.put_many({b"flood %d %04d" % (turn % 7, n): b"" for n in range(2000)})

    def commit() -> None:
        try:
            for turn in range(30):
                with store.transaction() as t:
                    assert sum(1 for _ in t.scan(prefix=b"mine")) == turn
                    t.put(b"mine %d" % turn, b"")
        finally:
            team.over.set()

    team.run([flood, flood, commit])


def test_histories_of_appends_are_serial(store: shardkv.Store) -> None:
    """Each transaction appends its name to two lists and tells what it saw: the order in all lists is one order."""
    keys = [b"list %d" % n for n in range(4)]
    seen: dict[str, dict[bytes, list[str]]] = {}

    def append(t: shardkv.Transaction, name: str, chosen: list[bytes]) -> None:
        lists = {key: t.get(key, b"").decode().split() for key in chosen}
        for key, names in lists.items():
            t.put(key, " ".join([*names, name]).encode())
        seen[name] = lists

    def work(number: int) -> None:
        rng = random.Random(number)
        for turn in range(TURNS):
            name, chosen = f"{number}.{turn}", rng.sample(keys, 2)
            store.run_transaction(partial(append, name=name, chosen=chosen), retries=MANY)

    beside_flushes(store, THREADS, work)
    final = {key: store[key].decode().split() for key in keys}
    assert sum(map(len, final.values())) == 2 * THREADS * TURNS
    for name, lists in seen.items():
        for key, names in lists.items():
            assert final[key][: len(names) + 1] == [*names, name]
    assert is_acyclic([pair for names in final.values() for pair in itertools.pairwise(names)])


def is_acyclic(edges: list[tuple[str, str]]) -> bool:
    """Take away what nothing comes before, until nothing is left."""
    after: dict[str, list[str]] = {}
    before: dict[str, int] = {}
    for one, other in edges:
        after.setdefault(one, []).append(other)
        before[other] = before.get(other, 0) + 1
        before.setdefault(one, 0)
    free = [name for name, count in before.items() if count == 0]
    done = 0
    while free:
        done += 1
        for other in after.get(free.pop(), ()):
            before[other] -= 1
            if before[other] == 0:
                free.append(other)
    return done == len(before)
