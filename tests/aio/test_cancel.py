"""Cancelled tasks: a write is there or not, never half; what was appended stays; nobody else is disturbed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, stored

import shardkv
import shardkv.aio
from shardkv.registry import registry

TASKS, KEYS = 10_000, 500


class Model:
    """What each key may hold: the newest acknowledged write, or a later one whose outcome was not told."""

    def __init__(self) -> None:
        self.written: dict[bytes, dict[int, bytes]] = {}
        self.acked: dict[bytes, int] = {}

    def begin(self, key: bytes, number: int) -> bytes:
        value = b"%d" % number
        self.written.setdefault(key, {})[number] = value
        return value

    def check(self, found: dict[bytes, bytes], acks: dict[int, int]) -> None:
        for key, numbers in self.written.items():
            told = [(acks[number], number) for number in numbers if number in acks]
            value = found.get(key)
            if value is None:
                assert not told, f"{key!r} was acknowledged and is gone"
                continue
            number = int(value)
            assert number in numbers
            if told and number in acks:
                assert number == max(told)[1], f"{key!r} holds what was overwritten"


async def write(store: shardkv.aio.Store, number: int, key: bytes, value: bytes) -> int:
    """Put, or let a batch put the key and its twin; every fiftieth reads first."""
    if number % 50 == 0:
        await store.get(key)
    if number % 3:
        return await store.put(key, value)
    async with store.batch() as batch:
        batch.put(key, value)
        batch.put(b"twin of " + key, value)
    assert batch.seqno
    return batch.seqno


def test_a_storm_of_cancellations_against_a_model(
    run: Run[Any], path: Path, rng: random.Random
) -> None:
    model, acks = Model(), dict[int, int]()

    async def one(store: shardkv.aio.Store, number: int) -> None:
        key = b"%d" % rng.randrange(KEYS)
        acks[number] = await write(store, number, key, model.begin(key, number))

    async def main() -> None:
        async with shardkv.aio.open(path, shards=3) as store:
            tasks = [asyncio.create_task(one(store, number)) for number in range(TASKS)]
            for turn in range(20):
                await asyncio.sleep(0)
                if turn == 5:
                    await store.sync()
                for task in rng.sample(tasks, 300):
                    task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(answer) for answer in answers} <= {asyncio.CancelledError, type(None)}
            assert sum(answer is None for answer in answers) == len(acks) > TASKS // 3
            assert len(acks) < TASKS

    run(main())
    found = stored(path)
    twins = {key[8:]: found.pop(key) for key in [*found] if key.startswith(b"twin of ")}
    model.check(found, acks)
    # A batch is whole: a key that still holds a batch's value has the same twin.
    whole = [twins[key] == value for key, value in found.items() if int(value) % 3 == 0]
    assert whole
    assert all(whole)


def test_a_cancelled_put_that_was_appended_becomes_durable(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            task = asyncio.create_task(store.put(b"a", b"1"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.get(b"a") == b"1"
            assert store.durable_seqno() == 1

    run(main())


def test_a_task_that_is_cancelled_before_it_ran_has_written_nothing(
    run: Run[Any], path: Path
) -> None:
    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            task = asyncio.create_task(store.put(b"a", b"1"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.get(b"a") is None

    run(main())


def test_an_opening_that_is_cancelled_leaves_the_directory_free(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        for turn in range(5):
            task = asyncio.ensure_future(shardkv.aio.open(path, shards=1).__aenter__())
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())
    with shardkv.open(path, segment_bytes=(65536, 65536)) as store:
        store.put(b"a", b"b")


def test_an_opening_that_is_cancelled_again_and_again_leaves_the_directory_free(
    run: Run[Any], path: Path
) -> None:
    """A second cancellation, or the end of the loop, left what the thread had opened to nobody."""

    async def main() -> None:
        task = asyncio.ensure_future(shardkv.aio.open(path, shards=1).__aenter__())
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert not [shared for shared in registry._open.values() if shared.peers.path == str(path)]


def test_an_opening_that_the_end_of_the_loop_cancels_leaves_the_directory_free(
    run: Run[Any], path: Path
) -> None:
    async def main() -> asyncio.Task[Any]:
        task = asyncio.ensure_future(shardkv.aio.open(path, shards=1).__aenter__())
        await asyncio.sleep(0)
        return task

    assert run(main()).cancelled()
    assert not [shared for shared in registry._open.values() if shared.peers.path == str(path)]
