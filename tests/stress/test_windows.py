"""Every way to read, beside a writer, flushes and each other. What is written makes each answer exact.

One batch after the other moves windows over lines of keys: it puts the next key of each and deletes the last. So every
cut shows as many neighbours in each window, at one place, and no older ones than were there before it was made.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from stress.traffic import Team

import shardkv
import shardkv.aio
from shardkv.snapshot import Snapshot

WIDTH, READERS, ROUNDS = 100, 4, 1_500  # a window is wider than the first block of a scan
LINES = (b"a/", b"b/")
NEWEST = b"newest"


def key_of(line: bytes, number: int) -> bytes:
    return line + b"%07d" % number


def numbers(keys: Iterable[bytes]) -> list[int]:
    return [int(key[2:]) for key in keys]


def flush(store: shardkv.Store, over: threading.Event) -> None:
    while not over.is_set():
        store.flush()


class Windows:
    """Windows over two lines of a store and one of a namespace.

    Attributes:
        written: every window holds this key, or has moved past it.
    """

    def __init__(self, store: shardkv.Store) -> None:
        self.store, self.written = store, WIDTH - 1
        self.names = store.namespace("line", key_codec="bytes", codec="bytes")
        for line in LINES:
            store.put_many({key_of(line, n): b"%d" % n for n in range(WIDTH)})
        self.names.put_many({b"%07d" % n: b"" for n in range(WIDTH)})
        store.put(NEWEST, b"%d" % self.written)

    def move(self, rounds: int, over: threading.Event) -> None:
        try:
            for number in range(WIDTH, WIDTH + rounds):
                with self.store.batch(ack="memory") as batch:
                    for line in LINES:
                        batch.delete(key_of(line, number - WIDTH))
                        batch.put(key_of(line, number), b"%d" % number)
                    self.names.using(batch).delete(b"%07d" % (number - WIDTH))
                    self.names.using(batch).put(b"%07d" % number, b"")
                    batch.put(NEWEST, b"%d" % number)
                self.written = number
        finally:
            over.set()

    def hold(self, over: threading.Event) -> None:
        """Take cuts of a log that nobody has put in order yet, and scan them when much was replaced."""
        while not over.is_set():
            self.store.flush()
            self._wait(self.written + WIDTH // 2, over)
            before = self.written
            with self.store.snapshot() as cut:
                self._wait(before + WIDTH, over)
                found = list(cut.scan(prefix=LINES[0]))
                assert in_rows(found, before)
                assert found[-1][1] == cut[NEWEST]
                assert cut.get_many([key for key, _ in found]) == dict(found)

    def _wait(self, number: int, over: threading.Event) -> None:
        while self.written < number and not over.is_set():
            before = self.written
            assert int(self.store[NEWEST]) >= before

    def read(self, seed: int, over: threading.Event) -> None:
        rng = random.Random(seed)
        while not over.is_set():
            name, way = rng.choice(list(WAYS.items()))
            before = self.written
            assert way(self, before), name


def is_window(found: list[int], before: int) -> bool:
    """Say whether this is a window that was there after `before` was written."""
    return found == list(range(found[0], found[0] + WIDTH)) and found[-1] >= before


def is_edge(found: list[int]) -> bool:
    return found == list(range(found[0], found[0] + 3))


def in_rows(rows: list[tuple[bytes, bytes]], before: int) -> bool:
    found = [int(value) for _, value in rows]
    return numbers(key for key, _ in rows) == found and is_window(found, before)


def by_scan(at: Windows, before: int) -> bool:
    return in_rows(list(at.store.scan(prefix=LINES[0])), before)


def by_bounds_backwards(at: Windows, before: int) -> bool:
    return in_rows(list(at.store.scan(b"b", b"c", reverse=True))[::-1], before)


def by_keys(at: Windows, before: int) -> bool:
    return is_window(numbers(at.store.scan(prefix=LINES[1], values=False)), before)


def by_first(at: Windows, before: int) -> bool:
    found = numbers(at.store.scan(prefix=LINES[0], limit=3, values=False))
    return is_edge(found) and found[0] > before - WIDTH


def by_last(at: Windows, before: int) -> bool:
    found = numbers(key for key, _ in at.store.scan(prefix=LINES[1], reverse=True, limit=3))
    return is_edge(found[::-1]) and found[0] >= before


def by_all(at: Windows, before: int) -> bool:
    """This one also proves that no record is missing in a shard."""
    *rows, newest = at.store.scan()
    left, right = rows[:WIDTH], rows[WIDTH:]
    return (
        in_rows(left, before)
        and newest == (NEWEST, left[-1][1])
        and [row[1] for row in left] == [row[1] for row in right]
    )


def by_count(at: Windows, before: int) -> bool:
    return len(at.store) == len(LINES) * WIDTH + 1


def by_get(at: Windows, before: int) -> bool:
    return int(at.store[NEWEST]) >= before


def by_get_many(at: Windows, before: int) -> bool:
    keys = [key_of(line, n) for line in LINES for n in range(before - 5, before + 5)]
    found = at.store.get_many([NEWEST, *keys])
    return int(found.pop(NEWEST)) >= before and all(
        int(found[key]) == int(key[2:]) for key in found
    )


def by_namespace(at: Windows, before: int) -> bool:
    return is_window([int(key) for key in at.names], before)


def in_cut(cut: Any, before: int) -> bool:
    rows = list(cut.scan(prefix=LINES[0]))
    last = int(rows[-1][0][2:])
    around = [key_of(LINES[1], n) for n in range(last - WIDTH - 1, last + 3)]
    return (
        in_rows(rows, before)
        and numbers(cut.get_many(around)) == [int(value) for _, value in rows]
        and numbers(cut.scan(prefix=LINES[1], reverse=True, limit=3, values=False))[0] == last
        and int(cut.get(NEWEST)) == last
        and key_of(LINES[0], last + 1) not in cut
    )


def by_snapshot(at: Windows, before: int) -> bool:
    with at.store.snapshot() as cut:
        same = [int(key) for key in at.names.using(cut)] == numbers(
            cut.scan(prefix=LINES[0], values=False)
        )
        return same and in_cut(cut, before) and in_cut(cut, before)


def by_transaction(at: Windows, before: int) -> bool:
    with at.store.transaction() as transaction:
        return in_cut(transaction, before)


WAYS: dict[str, Callable[[Windows, int], bool]] = {
    way.__name__: way
    for way in (
        *(by_scan, by_bounds_backwards, by_keys, by_first, by_last, by_all, by_count),
        *(by_get, by_get_many, by_namespace, by_snapshot, by_transaction),
    )
}


@pytest.mark.parametrize("flushing", [False, True])
def test_every_way_to_read_shows_whole_windows_and_no_old_ones(
    tmp_path: Path, flushing: bool, rng: random.Random
) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        at, team = Windows(store), Team()
        works = [partial(at.read, rng.randrange(1 << 32), team.over) for _ in range(READERS)]
        works.append(partial(at.move, ROUNDS, team.over))
        team.run([*works, partial(flush, store, team.over)] if flushing else works)


def test_a_cut_that_is_scanned_late_is_whole(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        at, team = Windows(store), Team()
        team.run([partial(at.hold, team.over), partial(at.move, 2 * ROUNDS, team.over)])


async def all_of(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


async def read_as_task(store: shardkv.aio.Store, at: Windows, over: threading.Event) -> None:
    while not over.is_set():
        before = at.written
        assert in_rows(await all_of(store.scan(prefix=LINES[0])), before)
        before = at.written
        last = await all_of(store.scan(prefix=LINES[1], reverse=True, limit=1, values=False))
        assert numbers(last)[0] >= before
        before = at.written
        async with store.snapshot() as cut:
            rows = await all_of(cut.scan(LINES[1], b"c"))
            assert in_rows(rows, before)
            assert await cut.get_many([key for key, _ in rows]) == dict(rows)
        async with store.transaction() as transaction:
            assert in_rows(await all_of(transaction.scan(prefix=LINES[0])), before)
        assert await store.count() == len(LINES) * WIDTH + 1


def test_tasks_see_whole_windows_too(tmp_path: Path) -> None:
    async def main(at: Windows, over: threading.Event) -> None:
        async with shardkv.aio.open(at.store.path) as store, asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(read_as_task(store, at, over))

    with shardkv.open(tmp_path / "store", shards=2) as store:
        at, team = Windows(store), Team()
        team.run(
            [
                lambda: asyncio.run(main(at, team.over)),
                partial(at.move, ROUNDS, team.over),
                partial(flush, store, team.over),
            ]
        )


def test_a_peer_shows_whole_windows_and_never_goes_back(tmp_path: Path) -> None:
    peer = tmp_path / "peer"

    def follow(store: shardkv.Store, over: threading.Event) -> None:
        seen = 0
        while not over.is_set():
            engine = store._shared.peers.engine_of(str(peer))
            if engine is None:
                continue
            with Snapshot(engine) as cut:
                newest = int(cut.get(NEWEST, b"0"))
                assert newest == seen == 0 or in_cut(cut, max(seen, WIDTH - 1))
            seen = newest

    with shardkv.open(tmp_path / "store", shards=2, peers=[str(peer)]) as store:
        at, team = Windows(store), Team()
        works = [partial(follow, store, team.over) for _ in range(2)]
        team.run([*works, partial(at.move, ROUNDS, team.over), partial(flush, store, team.over)])


@pytest.mark.parametrize("flushing", [False, True])
def test_short_scans_and_snapshots_show_a_batch_whole(tmp_path: Path, flushing: bool) -> None:
    keys, written, team = [b"%02d" % n for n in range(16)], 0, Team()

    def write(store: shardkv.Store) -> None:
        nonlocal written
        for count in range(2 * ROUNDS):
            store.put_many(dict.fromkeys(keys, b"%d" % count), ack="memory")
            written = count
        team.over.set()

    def read(store: shardkv.Store, reverse: bool) -> None:
        while not team.over.is_set():
            before = written
            rows = dict(store.scan(limit=len(keys), reverse=reverse))
            with store.snapshot() as cut:
                later = cut.get_many(keys)
            assert sorted(rows) == sorted(later) == keys
            assert len({*rows.values()}) == len({*later.values()}) == 1
            assert before <= int(rows[keys[0]]) <= int(later[keys[0]])

    with shardkv.open(tmp_path / "store", shards=4) as store:
        store.put_many(dict.fromkeys(keys, b"0"))
        works = [partial(read, store, bool(number % 2)) for number in range(READERS)]
        works.append(partial(write, store))
        team.run([*works, partial(flush, store, team.over)] if flushing else works)
