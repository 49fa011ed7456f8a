"""Transactions that read lists and append to them, and the notes that the checker of circles wants."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from history.cycles import ABORTED, COMMITTED, UNKNOWN, Key, Read, Txn

import shardkv

KEYS: Final = [b"list/%d" % n for n in range(6)]


def packed(numbers: Read) -> bytes:
    return b" ".join(b"%d" % number for number in numbers)


def unpacked(value: bytes | None) -> Read:
    return tuple(map(int, (value or b"").split()))


class Reader(Protocol):
    """What can read: a transaction, a snapshot."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: list[bytes]) -> dict[bytes, bytes]: ...

    def scan(self, *, prefix: bytes, reverse: bool) -> Any: ...


class Notes:
    """Where a transaction's story goes before and after it was; a diary writes it down as well."""

    def __init__(self) -> None:
        self.txns: list[Txn] = []

    def began(self, txn: Txn) -> None:
        self.txns.append(txn)

    def ended(self, txn: Txn) -> None:
        """The outcome is known."""

    def about_to_commit(self, txn: Txn) -> None:
        """Everything but the outcome is known."""


class Appender:
    """One thread's transactions on a few lists. `numbers` are its own."""

    def __init__(
        self,
        who: int,
        store: Callable[[], shardkv.Store],
        rng: random.Random,
        notes: Notes,
        acks: tuple[str, ...] = ("disk",),
    ) -> None:
        self._who, self._store, self._rng, self._notes, self._acks = who, store, rng, notes, acks
        self._numbers = itertools.count(who * 1_000_000)
        self._made = itertools.count()

    def run(self, count: int) -> None:
        """Make so many transactions, a few of which are snapshots that only look."""
        for _ in range(count):
            store = self._store()
            txn = Txn(f"{self._who}.{next(self._made)}", time.monotonic_ns(), outcome=UNKNOWN)
            try:
                self._one(store, txn)
            except shardkv.ConflictError:
                txn.outcome = ABORTED
            except shardkv.ClosedError:
                txn.outcome = UNKNOWN
            txn.end = time.monotonic_ns()
            self._notes.ended(txn)

    def _one(self, store: shardkv.Store, txn: Txn) -> None:
        rng = self._rng
        if rng.random() < 0.15:
            with store.snapshot() as cut:
                self._notes.began(txn)
                for _ in range(2):
                    self._read(cut, txn)
        else:
            with store.transaction(ack=rng.choice(self._acks)) as t:
                self._notes.began(txn)
                for _ in range(rng.randrange(1, 5)):
                    rng.choice([self._read, self._append])(t, txn)
                self._notes.about_to_commit(txn)
        txn.outcome = COMMITTED

    def _read(self, t: Reader, txn: Txn) -> None:
        match self._rng.randrange(4):
            case 0:
                found = t.get_many(KEYS)
                seen = {key: found.get(key) for key in self._rng.sample(KEYS, 3)}
            case 1:
                rows = dict(t.scan(prefix=b"list/", reverse=self._rng.random() < 0.5))
                seen = {key: rows.get(key) for key in KEYS}
            case _:
                key = self._rng.choice(KEYS)
                seen = {key: t.get(key)}
        txn.acts += [("read", key, unpacked(value)) for key, value in seen.items()]

    def _append(self, t: shardkv.Transaction, txn: Txn) -> None:
        key, number = self._rng.choice(KEYS), next(self._numbers)
        t.put(key, packed((*unpacked(t.get(key)), number)))
        txn.acts.append(("append", key, number))


def final_lists(store: shardkv.Store) -> dict[Key, Read]:
    """Return what is there at the end."""
    return {key: unpacked(store.get(key)) for key in KEYS}
