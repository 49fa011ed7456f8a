"""Ten thousand tasks, many of them cancelled: every key still has one order of all that was done to it.

A cancelled call happened or did not, but not after the task was told.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from aio.loops import KINDS, runs
from history.callers import NUMBERS, SMALL, Focus, key_names, scaled
from history.calls import UNKNOWN, Call, Refused, by_key, plain
from history.linear import check

import shardkv
import shardkv.aio

VERBS = ("get", "get_entry", "put", "put_many", "add", "delete", "pop", "cas", "put_if")


async def perform(store: shardkv.aio.Store, verb: str, key: bytes, args: tuple[Any, ...]) -> Any:
    match verb:
        case "pop":
            return await store.pop(key, None)
        case "put_many":
            await store.put_many([(key, args[0])])
            return None
        case "put_if":
            try:
                return await store.put(key, args[0], if_version=args[1])
            except shardkv.ConflictError as conflict:
                return Refused(conflict.version)
    return plain(await getattr(store, verb)(key, *args))


class Tasks:
    """Tasks that call, and what they saw."""

    def __init__(self, store: shardkv.aio.Store, rng: random.Random) -> None:
        self._store, self._rng = store, rng
        self._focus = Focus(key_names(scaled(2_000)), 6)
        self._told: dict[bytes, int] = {}
        self.calls: list[Call] = []

    async def do(self, who: int, verb: str, key: bytes, *args: Any) -> None:
        """Make one call and note its answer, or that it was cut off."""
        call = Call(time.monotonic_ns(), 0, who, verb, key, args, UNKNOWN)
        try:
            call.answer = await perform(self._store, verb, key, args)
        finally:
            call.end = time.monotonic_ns()
            self.calls.append(call)
        if verb == "get_entry" and call.answer:
            self._told[key] = call.answer[1]
        elif verb == "put":
            self._told[key] = call.answer

    async def one(self, who: int) -> None:
        """Make three calls."""
        for _ in range(3):
            rng, key = self._rng, self._focus.pick(self._rng)
            verb = rng.choice((*VERBS, "incr") if key.startswith(NUMBERS) else VERBS)
            value = b"%d" % rng.getrandbits(60)
            match verb:
                case "get" | "get_entry" | "delete" | "pop":
                    await self.do(who, verb, key)
                case "cas" | "put_if":
                    expected = self._told.get(key, 0) if rng.random() < 0.8 else 0
                    await self.do(who, verb, key, value, expected)
                case "incr":
                    await self.do(who, verb, key, rng.getrandbits(45), rng.getrandbits(45))
                case _:
                    await self.do(who, verb, key, value)


async def storm(path: Path, rng: random.Random) -> list[Call]:
    """Run the tasks, cancel some at every turn of the loop, and look at every key at the end."""
    async with shardkv.aio.open(path, shards=3, **SMALL) as store:
        calling = Tasks(store, rng)
        tasks = [asyncio.create_task(calling.one(who)) for who in range(scaled(10_000))]
        left = rng.sample(tasks, len(tasks) // 3)
        while left:
            await asyncio.sleep(0)
            for task in left[-100:]:
                task.cancel()
            del left[-100:]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ended} == {asyncio.CancelledError, type(None)}
        for key in {call.key for call in calling.calls}:
            await calling.do(-1, "get_entry", key)
    return calling.calls


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_that_are_cancelled_leave_one_order(
    tmp_path: Path, rng: random.Random, kind: str
) -> None:
    calls = runs(kind)(storm(tmp_path / "store", rng))
    assert any(call.answer is UNKNOWN for call in calls)
    check(by_key(calls))
    with shardkv.open(tmp_path / "store") as store:
        last = [call for call in calls if call.who == -1]
        assert all(plain(store.get_entry(call.key)) == call.answer for call in last)
