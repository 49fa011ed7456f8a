"""Row "atomic": one key read and written in one step, beside put. One thread, a key for every call.

A call that refuses would be cheap, so every call here succeeds: `add` finds its keys absent, `cas`
knows their versions, `incr` finds a number, `get_entry` finds a record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import shardkv
from bench.harness import Harness, stopwatch
from bench.records import split
from bench.result import RowResult, Turn
from bench.targets import SUBJECT

if TYPE_CHECKING:
    from bench.rows import Row

ACKS = ("disk", "memory")
KEYS = 200_000
LOOK_EVERY = 100  # calls between two looks at the clock

Pairs = Sequence[tuple[bytes, bytes]]
Work = tuple[Callable[..., object], Sequence[tuple[Any, ...]]]  #: a call, and its arguments


def one_step(row: Row, harness: Harness) -> RowResult:
    """Let each call work on fresh keys of a fresh store, at both levels of durability."""
    harness.present(SUBJECT)
    turns = {
        (SUBJECT, f"{call}, ack {ack}"): partial(_turn, harness, WORKS[call], ack)
        for ack in ACKS
        for call in WORKS
    }
    rounds = harness.interleave(turns, synced=True)
    return RowResult(row.name, row.work, rounds.series, rounds.sync_us, {"keys": KEYS})


def _turn(harness: Harness, prepare: Callable[[shardkv.Store, Pairs], Work], ack: str) -> Turn:
    done = 0
    with harness.directory() as path, shardkv.open(path, ack=ack) as store:
        call, arguments = prepare(store, harness.pool[:KEYS])
        store.sync()
        with stopwatch() as seconds:
            for some in split(arguments, LOOK_EVERY):
                for one in some:
                    call(*one)
                done += len(some)
                if (spent := seconds()) > harness.plan.seconds:
                    break
        store.close(flush=False)
    return {"per_s": done / spent, "call_us": spent / done * 1e6}


def _put(store: shardkv.Store, pairs: Pairs) -> Work:
    return store.put, pairs


def _get_entry(store: shardkv.Store, pairs: Pairs) -> Work:
    store.put_many(pairs)
    return store.get_entry, [(key,) for key, _ in pairs]


def _add(store: shardkv.Store, pairs: Pairs) -> Work:
    return store.add, pairs


def _cas(store: shardkv.Store, pairs: Pairs) -> Work:
    return store.cas, [(key, value, store.put(key, value, ack="memory")) for key, value in pairs]


def _incr(store: shardkv.Store, pairs: Pairs) -> Work:
    store.put_many((key, b"41") for key, _ in pairs)
    return store.incr, [(key,) for key, _ in pairs]


#: Call -> what has to be there before it is timed.
WORKS = {"put": _put, "get_entry": _get_entry, "add": _add, "cas": _cas, "incr": _incr}
