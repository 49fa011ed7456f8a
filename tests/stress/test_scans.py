"""Scans beside writers, and beside each other: what was put before a scan begins is in it."""

from __future__ import annotations

import itertools
import threading
from functools import partial
from pathlib import Path

import pytest
from stress.traffic import Team

import shardkv

READERS, KEYS, ROUNDS = 4, [b"key/%d" % number for number in range(6)], 3_000


class Counts:
    """One writer counts up, under every key in turn; readers may see no less than was there before they began."""

    def __init__(self, store: shardkv.Store) -> None:
        self._store, self._written, self._over = store, 0, threading.Event()
        store.put_many(dict.fromkeys(KEYS, b"0"))

    def write(self, rounds: int) -> None:
        try:
            for count in range(1, rounds + 1):
                for key in KEYS:
                    self._store.put(key, b"%d" % count, ack="memory")
                self._written = count
        finally:
            self._over.set()

    def scan(self, *, held: bool) -> None:
        while not self._over.is_set():
            before = self._written
            self._judge(before, held)

    def flush(self) -> None:
        while not self._over.is_set():
            self._store.flush()

    def _judge(self, before: int, held: bool) -> None:
        if held:
            with self._store.snapshot() as cut:
                scanned, read = dict(cut.scan()), cut.get_many(KEYS)
            assert scanned == read
        else:
            scanned = dict(self._store.scan())
        assert list(scanned) == KEYS
        assert min(map(int, scanned.values())) >= before


@pytest.mark.parametrize("flushing", [False, True])
def test_a_scan_misses_nothing_that_came_before_it(tmp_path: Path, flushing: bool) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        counts = Counts(store)
        readers = [
            partial(counts.scan, held=held)
            for held in itertools.islice(itertools.cycle([True, False]), READERS)
        ]
        works = [partial(counts.write, ROUNDS), *readers]
        Team().run([*works, counts.flush] if flushing else works)


@pytest.mark.parametrize("reverse", [False, True])
def test_deletes_that_scans_step_over_again_and_again_are_flushed(
    tmp_path: Path, reverse: bool
) -> None:
    """Each took as long as there were deletes before its first row: taking 20,000 rows one by one took a minute."""
    rows = [(b"%05d" % number, b"v") for number in range(8000)]
    gone, left = (rows[4000:], rows[:4000]) if reverse else (rows[:4000], rows[4000:])
    with shardkv.open(tmp_path / "store", shards=1) as store:
        store.put_many(dict(rows))
        store.flush()
        flushes = store.stats().shards[0].flushes
        store.delete_many([key for key, _ in gone], ack="memory")
        for _ in range(5):  # 20,000 deletes met: more than 8,192 and two for each that is unflushed
            assert list(store.scan(limit=1, reverse=reverse)) == [left[-1 if reverse else 0]]
        while store.stats().shards[0].flushes == flushes:  # the suite's own time limit ends it
            threading.Event().wait(0.01)
        assert list(store.scan()) == left
