"""Many threads on few keys: one order of all calls on a key explains every answer, over reopening too."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from history.callers import SMALL, Caller, Door, Focus, key_names, scaled
from history.calls import Call, Recorder, by_key
from history.linear import check
from stress.traffic import Team

import shardkv


def final_looks(door: Door, keys: list[bytes]) -> list[Call]:
    """Return what is there at the end, as one more caller sees it."""
    last = Recorder(-1, door.store)
    for key in keys:
        last.do("get_entry", key)
        last.do("get", key)
    return last.calls


Beside = Callable[[Door, random.Random], None]


def flush(door: Door, rng: random.Random) -> None:
    """Move the keys from the log into the shards."""
    for number in range(rng.randrange(40)):
        door.store().put(b"other/%d" % number, bytes(3000), ack="memory")
    door.store().flush()


def flush_and_reopen(door: Door, rng: random.Random) -> None:
    """Move the keys, and close the store in the midst of everything."""
    flush(door, rng)
    if rng.random() < 0.3:
        door.reopen(flush=rng.random() < 0.5)


def press(door: Door, rng: random.Random) -> None:
    """Use the budget up: writers wait between what they saw and their append, while flushes go on."""
    with contextlib.suppress(shardkv.OverloadedError):
        door.store().put(b"other/%d" % rng.randrange(60), bytes(60_000), ack="memory")


class Traffic:
    """The callers of one test, and what goes on beside them until the last has ended."""

    def __init__(self, door: Door, rng: random.Random, threads: int, keys: list[bytes]) -> None:
        self._door, self._rng, self._left = door, rng, threads
        self._lock = threading.Lock()
        focus = Focus(keys, 5 * threads)
        self.recorders = [Recorder(number, door.store) for number in range(threads)]
        self._callers = [
            Caller(one, random.Random(rng.random()), focus, ("memory", "disk"))
            for one in self.recorders
        ]

    def run(self, calls: int, beside: Beside) -> None:
        """Make so many calls in all."""
        team, each = Team(), calls // len(self._callers)
        works = [partial(self._call, one, each) for one in self._callers]
        team.run([*works, partial(self._keep_on, team, partial(beside, self._door, self._rng))])

    def _call(self, caller: Caller, count: int) -> None:
        caller.run(count)
        with self._lock:
            self._left -= 1

    def _keep_on(self, team: Team, beside: Callable[[], None]) -> None:
        while self._left and not team.over.is_set():
            beside()


@pytest.mark.parametrize(
    ("threads", "shards", "keys", "beside"),
    [(4, 1, 6, flush), (16, 4, 40, flush), (8, 3, 20, flush_and_reopen), (8, 2, 20, press)],
)
def test_every_key_has_one_order(
    tmp_path: Path, rng: random.Random, threads: int, shards: int, keys: int, beside: Beside
) -> None:
    names = key_names(keys)
    door = Door(tmp_path / "store", shards=shards, **SMALL)
    traffic = Traffic(door, rng, threads, names)
    traffic.run(scaled(10_000), beside)
    calls = [call for one in traffic.recorders for call in one.calls] + final_looks(door, names)
    door.close()
    check(by_key(calls))
