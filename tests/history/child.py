"""A child of the crash tests that makes a history: threads of callers on one store, noted in a diary.

{"do": "history", "path", "diary", "options", "seed", "life", "threads", "calls", "flushes",
 "what": "keys" or "lists", "keys"}
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from crash import child
from crash.journal import Journal
from history.callers import Caller, Focus, key_names, seeded
from history.diary import DiaryNotes, DiaryRecorder
from history.lists import Appender
from stress.traffic import Team

import shardkv


def history(request: dict[str, Any]) -> dict[str, Any]:
    """Make calls on the store until they are made, or until somebody kills this process."""
    diary, threads = Journal(Path(request["diary"])), request["threads"]
    rng = random.Random(f"{request['seed']} {request['life']}")
    with shardkv.open(request["path"], **request["options"]) as store:
        make = {"keys": key_callers, "lists": list_callers}[request["what"]]
        callers = make(store, diary, rng, request)
        works = [partial(one.run, request["calls"] // threads) for one in callers]
        Team().run([*works, partial(push, store, rng, request["flushes"])])
    diary.close()
    return {}


def key_callers(
    store: shardkv.Store, diary: Journal, rng: random.Random, request: dict[str, Any]
) -> list[Caller]:
    focus = Focus(key_names(request["keys"]), 5 * request["threads"])
    recorders = [DiaryRecorder(who, lambda: store, diary) for who in range(request["threads"])]
    return [Caller(one, seeded(rng), focus) for one in recorders]


def list_callers(
    store: shardkv.Store, diary: Journal, rng: random.Random, request: dict[str, Any]
) -> list[Appender]:
    first = 100 * request["life"]
    notes = DiaryNotes(diary)
    return [
        Appender(first + who, lambda: store, seeded(rng), notes)
        for who in range(request["threads"])
    ]


def push(store: shardkv.Store, rng: random.Random, flushes: int) -> None:
    """Fill segments with what no caller asks for, and flush."""
    for _ in range(flushes):
        for number in range(rng.randrange(40)):
            store.put(b"other/%d" % number, bytes(3000), ack="memory")
        store.flush()


if __name__ == "__main__":
    child.TASKS["history"] = history
    child.main()
