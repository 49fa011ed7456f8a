"""Transfers between accounts: whoever reads one cut sees the same sum."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from stress.traffic import Team

import shardkv

ACCOUNTS = [b"account %02d" % n for n in range(20)]
EACH = 1000
SUM = EACH * len(ACCOUNTS)
CUTS = 120
SMALL = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}


def move(books: Any, money: dict[bytes, bytes], here: bytes, there: bytes, amount: int) -> None:
    books.put(here, b"%d" % (int(money[here]) - amount))
    books.put(there, b"%d" % (int(money[there]) + amount))


class Locked:
    """A batch under the locks of both accounts."""

    def __init__(self, store: shardkv.Store) -> None:
        self._store = store

    def transfer(self, here: bytes, there: bytes, amount: int, ack: Any) -> None:
        with self._store.locks([here, there], timeout=60):
            money = self._store.get_many([here, there])
            with self._store.batch(ack=ack) as batch:
                move(batch, money, here, there, amount)


class Transacted:
    """A transaction, which nothing guards but its own reads."""

    def __init__(self, store: shardkv.Store) -> None:
        self._store = store

    def transfer(self, here: bytes, there: bytes, amount: int, ack: Any) -> None:
        self._store.run_transaction(
            lambda t: move(t, t.get_many([here, there]), here, there, amount), ack=ack, retries=1000
        )


def transfer(bank: Locked | Transacted, rng: random.Random) -> None:
    here, there = rng.sample(ACCOUNTS, 2)
    bank.transfer(here, there, rng.randrange(100), rng.choice(["memory", "disk"]))


def sum_of(rows: object) -> int:
    return sum(int(value) for _, value in rows)


def read_cuts(store: shardkv.Store, number: int) -> None:
    for turn in range(CUTS):
        with store.snapshot() as cut:
            assert sum(int(cut[account]) for account in ACCOUNTS) == SUM
            assert sum_of(cut.get_many(ACCOUNTS).items()) == SUM
            assert sum_of(cut.scan(prefix=b"account", reverse=turn % 2 == 0)) == SUM
        assert sum_of(store.scan(prefix=b"account")) == SUM
        if turn % 10 == number:
            store.flush()


def write_on(store: shardkv.Store, team: Team, bank: Locked | Transacted, seed: int) -> None:
    rng = random.Random(seed)
    while not team.over.is_set():
        transfer(bank, rng)
        store.put(b"other %d" % rng.randrange(50), rng.randbytes(900), ack="memory")


@pytest.mark.parametrize("kind", [Locked, Transacted])
def test_snapshots_and_scans_see_transfers_whole(
    tmp_path: Path, kind: type[Locked] | type[Transacted]
) -> None:
    team = Team()
    with shardkv.open(tmp_path / "bank", shards=4, **SMALL) as store:
        store.put_many(dict.fromkeys(ACCOUNTS, b"%d" % EACH))
        bank = kind(store)
        readers = [partial(read_cuts, store, number) for number in range(2)]
        team.run([*readers, *(partial(write_on, store, team, bank, seed) for seed in range(3))])
    with shardkv.open(tmp_path / "bank") as store:
        assert sum_of(store.scan(prefix=b"account")) == SUM


def test_a_snapshot_that_is_kept_sees_its_own_cut_while_all_else_changes(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "bank", shards=2, **SMALL) as store:
        store.put_many(dict.fromkeys(ACCOUNTS, b"%d" % EACH))
        first = store.snapshot()
        for turn in range(30):
            store.put_many(dict.fromkeys(ACCOUNTS, b"%d" % turn * 300), ack="memory")
            store.delete(ACCOUNTS[turn % len(ACCOUNTS)])
            if turn % 3 == 0:
                store.flush()
            assert sum_of(first.scan()) == SUM
            assert sum_of(first.get_many(ACCOUNTS).items()) == SUM
        first.close()
