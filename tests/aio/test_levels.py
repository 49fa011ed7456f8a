"""Writes that peers have a part in: what is awaited, for how long, and what is told when a level is not reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, make_unwritable, stored

import shardkv
import shardkv.aio
from shardkv._native import ALL, COPYING, DOWN, QUORUM
from shardkv.aio.levels import Level

Write = Callable[[shardkv.aio.Store, Any], Awaitable[Any]]
KEY = b"key"


class Held:
    """A peer of an open store that nobody ships to: the test says what is durable there."""

    def __init__(self, store: shardkv.Store, name: str = "held") -> None:
        self.engine = store._engine
        self.place = self.engine.add_peer(name)

    def has(self, seqno: int) -> None:
        self.engine.set_peer(self.place, COPYING, seqno)

    def down(self) -> None:
        self.engine.set_peer(self.place, DOWN, 0)


@asynccontextmanager
async def holding(path: Path, **options: Any) -> AsyncIterator[tuple[shardkv.aio.Store, Held]]:
    async with shardkv.aio.open(path, shards=2, **options) as store:
        held = Held(store._store)
        try:
            yield store, held
        finally:
            held.down()


async def in_batch(store: shardkv.aio.Store, ack: Any) -> None:
    async with store.batch(ack=ack) as batch:
        batch.put(KEY, b"1")


async def in_transaction(store: shardkv.aio.Store, ack: Any) -> None:
    async with store.transaction(ack=ack) as transaction:
        await transaction.get(KEY)
        transaction.put(KEY, b"1")


async def in_namespace(store: shardkv.aio.Store, ack: Any) -> None:
    await (await store.namespace("ns")).put("key", 1, ack=ack)


async def submitted(store: shardkv.aio.Store, ack: Any) -> None:
    ticket = await store.submit(KEY, b"1")
    assert not ticket.done()
    await ticket
    assert ticket.done()


WRITES: dict[str, Write] = {
    "put": lambda store, ack: store.put(KEY, b"1", ack=ack),
    "put with a ttl": lambda store, ack: store.put(KEY, b"1", ttl=60, ack=ack),
    "add": lambda store, ack: store.add(KEY, b"1", ack=ack),
    "cas": lambda store, ack: store.cas(KEY, b"1", 0, ack=ack),
    "incr": lambda store, ack: store.incr(b"number", ack=ack),
    "delete": lambda store, ack: store.delete(b"old", ack=ack),
    "touch": lambda store, ack: store.touch(b"old", 60, ack=ack),
    "put_many": lambda store, ack: store.put_many([(KEY, b"1")] * 3000, ack=ack),
    "delete_many": lambda store, ack: store.delete_many([b"old", b"none"], ack=ack),
    "batch": in_batch,
    "transaction": in_transaction,
    "namespace": in_namespace,
}


async def until_waiting(store: shardkv.aio.Store, task: asyncio.Task[Any], count: int = 1) -> int:
    """Wait until so many tasks wait for peers, or the task is over; return the newest durable seqno."""
    levels = store._line().levels
    while not task.done() and sum(len(level.waiting) for level in levels.values()) < count:
        await asyncio.sleep(0)
    return store.durable_seqno()


async def turns(count: int = 20) -> None:
    """Let everybody run who can."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("level", ["quorum", "all"])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_waits_until_its_level_is_reached(
    run: Run[Any], path: Path, write: str, level: str
) -> None:
    async def main() -> None:
        async with holding(path) as (store, held):
            await store.put(b"old", b"1")
            await store.namespace("ns")
            task = asyncio.create_task(WRITES[write](store, level))
            seqno = await until_waiting(store, task)
            assert not task.done(), "acked, though no peer has it"
            held.has(seqno - 1)
            await asyncio.wait([task], timeout=0.02)
            assert not task.done(), "acked, though no peer has all of it"
            held.has(seqno)
            await task

    run(main())


@pytest.mark.parametrize("level", ["quorum", "all"])
@pytest.mark.parametrize("write", ["put", "incr", "batch", "ticket", "pop", "clear"])
def test_the_level_of_the_store_counts_when_none_is_named(
    run: Run[Any], path: Path, write: str, level: str
) -> None:
    writes = WRITES | {
        "ticket": submitted,
        "pop": lambda store, ack: store.pop(b"old"),
        "clear": lambda store, ack: store.clear(),
    }

    async def main() -> None:
        async with holding(path, ack=level) as (store, held):
            await store.put(b"old", b"1", ack="disk")
            task = asyncio.create_task(writes[write](store, None))
            seqno = await until_waiting(store, task)
            assert not task.done()
            held.has(seqno)
            await task

    run(main())


def test_what_waits_for_less_is_not_held_back(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path) as (store, held):
            held.has(0)
            slow = asyncio.create_task(store.put(b"slow", b"1", ack="all"))
            await store.put(b"quick", b"1")
            await store.put(b"none", b"1", ack="memory")
            assert await store.get(b"slow") == b"1", "durable here, so it may be seen"
            assert not slow.done()
            held.has(store.durable_seqno())
            await slow

    run(main())


def test_a_thousand_tasks_are_told_as_the_peers_move_on(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path) as (store, held):
            tasks = [
                asyncio.create_task(store.put(b"%d" % n, b"v", ack="all")) for n in range(1000)
            ]
            await until_waiting(store, tasks[-1], 1000)
            for seqno in (1, 2, 500, 999, 1000):
                held.has(seqno)
                await asyncio.wait(tasks[:seqno])
                await turns()
                assert sum(task.done() for task in tasks) == seqno
            assert [task.result() for task in tasks] == list(range(1, 1001))

    run(main())


def test_who_waits_for_less_is_told_first_whoever_came_first(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path, ack="all") as (store, held):
            early, late = await store.submit(b"a", b"1"), await store.submit(b"b", b"2")
            waits_late = asyncio.ensure_future(late.wait())
            await store.sync()
            await asyncio.sleep(0)
            waits_early = asyncio.ensure_future(early.wait())
            await turns()
            held.has(early.seqno)
            assert await waits_early == early.seqno
            assert not waits_late.done()
            held.has(late.seqno)
            assert await waits_late == late.seqno

    run(main())


def test_a_level_that_is_not_reached_in_time_is_told(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path, write_timeout=0.2) as (store, held):
            began = time.monotonic()
            with pytest.raises(shardkv.AckError, match="held is behind at seqno 0") as told:
                await store.put(KEY, b"1", ack="all")
            assert time.monotonic() - began >= 0.2
            assert told.value.seqno == 1
            ticket = await store.submit(KEY, b"2")
            assert await ticket.wait(0.0 if ticket.done() else 60) == 2, "the store's level is disk"
            assert await store.get(KEY) == b"2"
            held.has(2)
            assert await store.put(KEY, b"3", ack="disk") == 3
            async with shardkv.aio.open(path) as patient:
                late = asyncio.create_task(patient.put(KEY, b"4", ack="all"))
                await until_waiting(patient, late)
                held.has(4)
                assert await late == 4

    run(main())


def test_a_ticket_waits_for_as_long_as_it_is_told(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path, ack="quorum", write_timeout=0.01) as (store, held):
            ticket = await store.submit(KEY, b"1")
            await store.sync()
            with pytest.raises(shardkv.AckError):
                await ticket.wait(0.05)
            waiting = asyncio.create_task(ticket.wait())
            await asyncio.wait([waiting], timeout=0.05)
            assert not waiting.done(), "a ticket knows no write_timeout"
            held.has(1)
            assert await waiting == 1

    run(main())


def test_who_waits_in_vain_is_told_at_once(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path) as (store, held):
            tasks = [asyncio.create_task(store.put(b"%d" % n, b"v", ack="all")) for n in range(50)]
            await until_waiting(store, tasks[-1], 50)
            held.has(20)
            await asyncio.wait(tasks[:20])
            held.engine.set_peer(held.place, DOWN, 20)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert answers[:20] == list(range(1, 21))
            assert {type(answer) for answer in answers[20:]} == {shardkv.AckError}
            assert [getattr(answer, "seqno", 0) for answer in answers[20:]] == list(range(21, 51))
            assert len({id(answer) for answer in answers[20:]}) == 30, "an error has one traceback"
            with pytest.raises(shardkv.AckError, match="held is down at seqno 20"):
                await store.put(KEY, b"1", ack="quorum")

    run(main())


def test_a_number_is_added_once_though_its_level_is_not_reached(run: Run[Any], path: Path) -> None:
    """The quick way took the error for "nothing was appended", and the slow way added again."""

    async def main() -> None:
        async with holding(path) as (store, held):
            held.down()
            for _ in range(3):
                with pytest.raises(shardkv.AckError):
                    await store.incr(b"number", ack="all")
            assert await store.get(b"number") == b"3"

    run(main())
    with shardkv.open(path) as store:
        Held(store).down()
        for _ in range(3):
            with pytest.raises(shardkv.AckError):
                store.incr(b"number", ack="quorum")
        assert store[b"number"] == b"6"


def test_a_cancelled_put_stays_and_the_others_are_told(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path) as (store, held):
            tasks = [asyncio.create_task(store.put(b"%d" % n, b"v", ack="all")) for n in range(100)]
            await until_waiting(store, tasks[-1], 100)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.sleep(0)
            held.has(100)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert answers[1::2] == list(range(2, 101, 2))
            assert {type(answer) for answer in answers[::2]} == {asyncio.CancelledError}
            assert not any(level.waiting for level in store._line().levels.values())

    run(main())
    assert len(stored(path)) == 100


def test_nothing_is_left_of_those_who_gave_up(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path, write_timeout=0.001) as (store, _):
            for n in range(20):
                with pytest.raises(shardkv.AckError):
                    await store.put(b"%d" % n, b"v", ack="all")
            assert not store._line().level(ALL).waiting
            assert not store._line().level(QUORUM).waiting

    run(main())


def test_closing_ends_those_who_wait_for_a_level(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        async with holding(path) as (store, _):
            tasks = [asyncio.create_task(store.put(b"%d" % n, b"v", ack="all")) for n in range(50)]
            await until_waiting(store, tasks[-1], 50)
            await store.close()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(answer) for answer in answers} == {shardkv.ClosedError}
            assert not store._lines

    run(main())
    assert len(stored(path)) == 50


def test_another_opening_of_the_store_is_told_though_this_one_closes(
    run: Run[Any], path: Path
) -> None:
    async def main() -> None:
        async with holding(path) as (_, held), shardkv.aio.open(path) as other:
            line = other._line()
            task = asyncio.create_task(other.put(KEY, b"1", ack="all"))
            await until_waiting(other, task)
            await other.close()
            await turns()
            assert not task.done()
            assert not line._shut, "who waits has to be told"
            held.has(1)
            assert await task == 1
            assert line._shut

    run(main())


def test_a_poisoned_log_leaves_the_level_to_the_peers(run: Run[Any], path: Path) -> None:
    """What is durable here may still reach a peer. The loop is not kept busy meanwhile."""

    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        held = Held(store._store)
        task = asyncio.create_task(store.put(KEY, b"1", ack="all"))
        await until_waiting(store, task)
        make_unwritable(store.path)
        with pytest.raises(shardkv.PoisonedError):
            await store.put(KEY, b"2", ack="all")
        with counted() as calls:
            await asyncio.wait([task], timeout=0.2)
        assert len(calls) < 100
        assert not task.done()
        held.has(1)
        assert await task == 1
        with pytest.raises(shardkv.PoisonedError):
            await store.close()

    run(main())


@contextmanager
def counted() -> Iterator[list[Level]]:
    """Note each look at who waits for a level."""
    calls: list[Level] = []
    with pytest.MonkeyPatch.context() as patch:
        serve = Level._serve

        def counting(self: Level) -> None:
            calls.append(self)
            serve(self)

        patch.setattr(Level, "_serve", counting)
        yield calls


def test_real_peers(run: Run[Any], path: Path) -> None:
    b, c = path.with_name("b"), path.with_name("c")

    async def main() -> None:
        async with shardkv.aio.open(path, shards=2, peers=[b], ack="all") as store:
            assert list(store.peers) == [str(b)]
            await asyncio.gather(*(store.put(b"%d" % n, b"v") for n in range(300)))
            (one,) = store.peers.status()
            assert one.seqno >= 300
            await store.peers.add(c)
            assert len(store.peers) == 2
            await asyncio.gather(*(store.incr(b"number") for _ in range(100)))
            assert all(peer.seqno >= 400 for peer in store.peers.status())
            await store.peers.remove(b)
            with pytest.raises(shardkv.InvalidError):
                await store.peers.remove(b)
            await store.put(b"late", b"1")
            assert "c: " in repr(store.peers)
            assert repr(store.peers).startswith("<shardkv.aio.Peers")

    run(main())
    for peer, expected in ((b, 301), (c, 302)):
        with shardkv.open(peer, readonly=True) as copy:
            assert len(copy) == expected
            assert copy[b"number"] == b"100"
