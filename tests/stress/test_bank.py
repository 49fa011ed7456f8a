"""Transfers between accounts: whoever reads one cut sees the same sum."""

from __future__ import annotations

import random
import threading
from functools import partial
from pathlib import Path

from stress.traffic import Team

import shardkv

ACCOUNTS = [b"account %02d" % n for n in range(20)]
EACH = 1000
SUM = EACH * len(ACCOUNTS)
CUTS = 120
SMALL = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}


def transfer(store: shardkv.Store, rng: random.Random, teller: threading.Lock) -> None:
    here, there = rng.sample(ACCOUNTS, 2)
    with teller:
        money = store.get_many([here, there])
        amount = rng.randrange(100)
        with store.batch(ack=rng.choice(["memory", "disk"])) as batch:
            batch.put(here, b"%d" % (int(money[here]) - amount))
            batch.put(there, b"%d" % (int(money[there]) + amount))


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


def write_on(store: shardkv.Store, team: Team, teller: threading.Lock, seed: int) -> None:
    rng = random.Random(seed)
    while not team.over.is_set():
        transfer(store, rng, teller)
        store.put(b"other %d" % rng.randrange(50), rng.randbytes(900), ack="memory")


def test_snapshots_and_scans_see_batches_whole(tmp_path: Path) -> None:
    team, teller = Team(), threading.Lock()
    with shardkv.open(tmp_path / "bank", shards=4, **SMALL) as store:
        store.put_many(dict.fromkeys(ACCOUNTS, b"%d" % EACH))
        readers = [partial(read_cuts, store, number) for number in range(2)]
        team.run([*readers, *(partial(write_on, store, team, teller, seed) for seed in range(3))])
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
