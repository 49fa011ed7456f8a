"""A child of the crash tests that makes a history: threads of callers on one store, noted in a diary.

{"do": "history", "path", "diary", "options", "seed", "life", "threads", "keys", "calls", "flush"}
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from crash import child
from crash.journal import Journal
from history.callers import Caller, Focus, key_names
from history.diary import DiaryRecorder
from stress.traffic import Team

import shardkv


def history(request: dict[str, Any]) -> dict[str, Any]:
    """Make calls on the store until they are made, or until somebody kills this process."""
    diary, threads = Journal(Path(request["diary"])), request["threads"]
    rng = random.Random(f"{request['seed']} {request['life']}")
    focus = Focus(key_names(request["keys"]), 5 * threads)
    with shardkv.open(request["path"], **request["options"]) as store:
        recorders = [DiaryRecorder(who, lambda: store, diary) for who in range(threads)]
        callers = [Caller(one, random.Random(rng.random()), focus) for one in recorders]
        team = Team()
        works = [partial(one.run, request["calls"] // threads) for one in callers]
        team.run([*works, partial(push, store, rng, request["flushes"])])
    diary.close()
    return {}


def push(store: shardkv.Store, rng: random.Random, flushes: int) -> None:
    """Fill segments with what no caller asks for, and flush."""
    for _ in range(flushes):
        for number in range(rng.randrange(40)):
            store.put(b"other/%d" % number, bytes(3000), ack="memory")
        store.flush()


if __name__ == "__main__":
    child.TASKS["history"] = history
    child.main()
