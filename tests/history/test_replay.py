"""The feed, replayed, is the store: at every cut, over everything that writes, and after falling behind."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from history.callers import SMALL, Caller, Count, Focus, key_names, scaled, seeded
from history.calls import Recorder
from stress.traffic import Team

import shardkv
from shardkv import Change

THREADS, BATCH_KEYS = 4, 200
State = dict[bytes, bytes]


def play(changes: Iterable[Change], state: State) -> None:
    """Do again what the changes tell."""
    for change in changes:
        if change.value is None:
            state.pop(change.key, None)
        else:
            state[change.key] = change.value


class Writers:
    """Threads that write in every way there is, and say when they are done."""

    def __init__(self, store: shardkv.Store, rng: random.Random) -> None:
        self._store, self._left = store, Count(THREADS)
        focus = Focus(key_names(40), 20)
        self._callers = [
            (
                Caller(Recorder(n, lambda: store), seeded(rng), focus, ("memory", "disk")),
                seeded(rng),
            )
            for n in range(THREADS)
        ]

    def works(self, rounds: int) -> list[partial[None]]:
        found = [partial(self._work, caller, rng, rounds) for caller, rng in self._callers]
        return [partial(self._left.work, work) for work in found]

    def busy(self) -> bool:
        return bool(self._left)

    def _work(self, caller: Caller, rng: random.Random, rounds: int) -> None:
        for _ in range(rounds):
            caller.run(10)
            self._batch(rng)
            if rng.random() < 0.1:
                self._store.delete_many(many(rng, rng.randrange(20)))

    def _batch(self, rng: random.Random) -> None:
        with self._store.batch(ack="memory") as batch:
            for key in many(rng, rng.randrange(1, 10)):
                if rng.random() < 0.3:
                    batch.delete(key)
                else:
                    batch.put(key, rng.randbytes(rng.choice([10, 500, 3000])), ttl=rng.choice(TTLS))


TTLS = (None, None, 3600.0)


def many(rng: random.Random, count: int) -> list[bytes]:
    return [b"many/%d" % rng.randrange(BATCH_KEYS) for _ in range(count)]


def test_a_feed_replayed_up_to_a_cut_is_the_cut(tmp_path: Path, rng: random.Random) -> None:
    cuts: list[tuple[int, State]] = []

    def look(store: shardkv.Store, writers: Writers) -> None:
        while writers.busy():
            with store.snapshot() as cut:
                cuts.append((cut.seqno, dict(cut.scan())))
            if len(cuts) % 5 == 0:
                store.flush()

    with shardkv.open(tmp_path / "store", shards=3, retain_log_bytes=1 << 30, **SMALL) as store:
        writers = Writers(store, rng)
        Team().run([*writers.works(scaled(60)), partial(look, store, writers)])
        cuts.append((store.stats().seqno, dict(store)))
        changes = list(store.changes())
    state: State = {}
    done = 0
    for seqno, rows in cuts:
        count = next((n for n, c in enumerate(changes[done:]) if c.seqno > seqno), None)
        upto = len(changes) if count is None else done + count
        play(changes[done:upto], state)
        done = upto
        assert state == rows
    assert len(cuts) > 2


def test_a_slow_consumer_that_starts_anew_from_a_snapshot_has_the_store_in_the_end(
    tmp_path: Path, rng: random.Random
) -> None:
    state: State = {}
    gone: list[int] = []

    def anew(store: shardkv.Store) -> shardkv.Watch:
        with store.snapshot() as cut:
            state.clear()
            state.update(cut.scan())
            return store.watch(since=cut.seqno)

    def consume(store: shardkv.Store, writers: Writers) -> None:
        watch = anew(store)
        while writers.busy() or watch.seqno < store.stats().seqno:
            if writers.busy() and store.stats().seqno < watch.seqno + 200:
                store.flush()  # slow: it comes by only after two hundred writes
                continue
            with contextlib.suppress(TimeoutError):
                try:
                    play([watch.get(timeout=0.01)], state)
                except shardkv.LogGoneError as error:
                    gone.append(error.seqno - watch.seqno)
                    watch.close()
                    watch = anew(store)
        watch.close()

    with shardkv.open(tmp_path / "store", shards=3, retain_log_bytes=0, **SMALL) as store:
        writers = Writers(store, rng)
        Team().run([*writers.works(scaled(60)), partial(consume, store, writers)])
        assert state == dict(store)
    assert all(missed > 0 for missed in gone)
    print(f"fell behind {len(gone)} times")
