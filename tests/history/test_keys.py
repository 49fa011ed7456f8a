"""Many threads on few keys: one order of all calls on a key explains every answer, over reopening too."""

from __future__ import annotations

import contextlib
import random
from functools import partial
from pathlib import Path

import pytest
from history.callers import (
    SMALL,
    Beside,
    Caller,
    Door,
    Focus,
    beside_until_done,
    flush,
    flush_and_reopen,
    key_names,
    scaled,
    seeded,
)
from history.calls import Call, Recorder, by_key
from history.linear import check

import shardkv


def final_looks(door: Door, keys: list[bytes]) -> list[Call]:
    """Return what is there at the end, as one more caller sees it."""
    last = Recorder(-1, door.store)
    for key in keys:
        last.do("get_entry", key)
        last.do("get", key)
    return last.calls


def press(door: Door, rng: random.Random) -> None:
    """Use the budget up: writers wait between what they saw and their append, while flushes go on."""
    with contextlib.suppress(shardkv.OverloadedError):
        door.store().put(b"other/%d" % rng.randrange(60), bytes(60_000), ack="memory")


@pytest.mark.parametrize(
    ("threads", "shards", "keys", "beside"),
    [(4, 1, 6, flush), (16, 4, 40, flush), (8, 3, 20, flush_and_reopen), (8, 2, 20, press)],
)
def test_every_key_has_one_order(
    tmp_path: Path, rng: random.Random, threads: int, shards: int, keys: int, beside: Beside
) -> None:
    names = key_names(keys)
    door = Door(tmp_path / "store", shards=shards, **SMALL)
    recorders = [Recorder(number, door.store) for number in range(threads)]
    focus, each = Focus(names, 5 * threads), scaled(10_000) // threads
    callers = [Caller(one, seeded(rng), focus, ("memory", "disk")) for one in recorders]
    beside_until_done(door, rng, [partial(one.run, each) for one in callers], beside)
    calls = [call for one in recorders for call in one.calls] + final_looks(door, names)
    door.close()
    check(by_key(calls))
