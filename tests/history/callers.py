"""Callers that do everything a key allows, on few keys, and remember what they were told."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from history.calls import Recorder, Refused
from stress.traffic import Team

import shardkv

SMALL: Final[dict[str, Any]] = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}
SCALE: Final = float(os.environ.get("SHARDKV_HISTORY_SCALE", "1"))
NUMBERS, TEXTS = b"number/", b"text/"
BLIND = ("put", "put", "submit", "put_many", "delete", "pop", "add")
LOOKS = ("get", "get", "get_many", "get_entry", "has")
COMPARING = ("cas", "cas", "put_if")


def scaled(count: int) -> int:
    """Return a number of calls, times SHARDKV_HISTORY_SCALE."""
    return max(1, int(count * SCALE))


def key_names(count: int) -> list[bytes]:
    """Return so many keys, half of which hold numbers."""
    return [(NUMBERS if n % 2 else TEXTS) + b"%d" % n for n in range(count)]


class Focus:
    """Which key the callers meet at: one after the other, so that each cools down into its shard again."""

    def __init__(self, keys: list[bytes], burst: int) -> None:
        self._keys, self._burst, self._turns = keys, burst, itertools.count()

    def pick(self, rng: random.Random) -> bytes:
        """Return the key for one call."""
        turn = next(self._turns)
        if rng.random() < 0.2:
            return rng.choice(self._keys)
        return self._keys[turn // self._burst % len(self._keys)]


class Caller:
    """One thread's random calls. No two writes of all callers make the same value."""

    def __init__(
        self,
        recorder: Recorder,
        rng: random.Random,
        focus: Focus,
        acks: tuple[str, ...] = ("disk",),
    ) -> None:
        self._recorder, self._rng, self._focus, self._acks = recorder, rng, focus, acks
        self._told: dict[bytes, int] = {}

    def run(self, count: int) -> None:
        """Make so many calls."""
        for _ in range(count):
            self.call()

    def call(self) -> None:
        """Make one call."""
        key, rng = self._focus.pick(self._rng), self._rng
        kinds: list[Callable[[bytes], None]] = [self._look, self._write, self._compare]
        if key.startswith(NUMBERS):
            kinds.append(self._count)
        rng.choice(kinds)(key)

    def _value(self, key: bytes) -> bytes:
        number = b"%d" % self._rng.getrandbits(60)
        if key.startswith(NUMBERS):
            return number
        return number + b"." * self._rng.choice([0, 0, 100, 3000])

    def _how(self) -> dict[str, Any]:
        return {"ack": self._rng.choice(self._acks)}

    def _look(self, key: bytes) -> None:
        verb = self._rng.choice(LOOKS)
        answer = self._recorder.do(verb, key)
        if verb == "get_entry":
            self._told[key] = answer[1] if isinstance(answer, tuple) else 0

    def _write(self, key: bytes) -> None:
        verb = self._rng.choice(BLIND)
        args = () if verb in ("delete", "pop") else (self._value(key),)
        how = {} if verb in ("submit", "pop") else self._how()
        answer = self._recorder.do(verb, key, *args, **how)
        if verb in ("put", "submit") and isinstance(answer, int):
            self._told[key] = answer

    def _compare(self, key: bytes) -> None:
        verb = self._rng.choice(COMPARING)
        expected = self._told.get(key, 0) if self._rng.random() < 0.8 else 0
        answer = self._recorder.do(verb, key, self._value(key), expected, **self._how())
        if verb == "put_if" and isinstance(answer, int):
            self._told[key] = answer
        elif isinstance(answer, Refused) or answer is False:
            self._look(key)

    def _count(self, key: bytes) -> None:
        delta, default = self._rng.getrandbits(45), self._rng.getrandbits(45)
        self._recorder.do("incr", key, delta, default, **self._how())


class Door:
    """A store that is closed and opened again while others use it."""

    def __init__(self, path: Path, **options: Any) -> None:
        self._path, self._options = path, options
        self._there = threading.Event()
        self._open()

    def _open(self) -> None:
        self._store = shardkv.open(self._path, **self._options)
        self._there.set()

    def store(self) -> shardkv.Store:
        """Return the store, once it is open."""
        self._there.wait()
        return self._store

    def reopen(self, flush: bool) -> None:
        """Close the store in the midst of everything, and open it again."""
        self._there.clear()
        try:
            self._store.close(flush=flush)
        finally:
            self._open()

    def close(self) -> None:
        """Close for good."""
        self._store.close()


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


class Count:
    """How many are still at work."""

    def __init__(self, left: int) -> None:
        self._left, self._lock = left, threading.Lock()

    def work(self, work: Callable[[], None]) -> None:
        """Do one of the works, and say when it is over."""
        try:
            work()
        finally:
            with self._lock:
                self._left -= 1

    def __bool__(self) -> bool:
        return self._left > 0


def beside_until_done(
    door: Door, rng: random.Random, works: list[Callable[[], None]], beside: Beside
) -> None:
    """Run the works in threads, and something beside them until the last has ended."""
    left = Count(len(works))

    def keep_on() -> None:
        while left:
            beside(door, rng)

    Team().run([*(partial(left.work, work) for work in works), keep_on])


def seeded(rng: random.Random) -> random.Random:
    """Return another source of random numbers, decided by this one."""
    return random.Random(rng.random())
