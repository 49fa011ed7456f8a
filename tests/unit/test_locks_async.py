"""Key locks in asyncio: tasks are owners, waiting suspends, cancelling leaves no trace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from unit.test_locks import Threads, in_line, nothing_is_left, try_lock, until

import shardkv


async def turn() -> None:
    """Let the other tasks run once."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


async def line_of(store: shardkv.Store, length: int) -> None:
    while in_line(store) != length:
        await turn()


def test_tasks_exclude_each_other_and_the_loop_goes_on(store: shardkv.Store) -> None:
    """A task is an owner of its own: two tasks of one thread once shared a lock as its re-entrant holder."""

    async def count() -> None:
        for _ in range(20):
            async with store.lock(b"n"):
                n = int(store[b"n"])
                await turn()
                store.put(b"n", b"%d" % (n + 1), ack="memory")

    async def main() -> None:
        await asyncio.gather(*(count() for _ in range(20)))

    store.put(b"n", b"0")
    asyncio.run(main())
    assert store[b"n"] == b"400"
    assert nothing_is_left(store)


def test_tasks_get_the_lock_in_the_order_in_which_they_came(store: shardkv.Store) -> None:
    order: list[int] = []

    async def work(n: int) -> None:
        async with store.lock(b"k"):
            order.append(n)

    async def main() -> None:
        async with store.lock(b"k"):
            tasks = []
            for n in range(20):
                tasks.append(asyncio.create_task(work(n)))
                await line_of(store, n + 1)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert order == list(range(20))


def test_threads_and_tasks_stand_in_one_line(store: shardkv.Store) -> None:
    order: list[str] = []
    threads = Threads()

    def in_thread(n: int) -> None:
        with store.lock(b"k"):
            order.append(f"thread {n}")

    async def in_task(n: int) -> None:
        async with store.lock(b"k"):
            order.append(f"task {n}")

    async def main() -> None:
        async with store.lock(b"k"):
            tasks = []
            for n in range(5):
                threads.start(in_thread, n)
                await line_of(store, 2 * n + 1)
                tasks.append(asyncio.create_task(in_task(n)))
                await line_of(store, 2 * n + 2)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    threads.join()
    assert order == [f"{kind} {n}" for n in range(5) for kind in ("thread", "task")]
    assert nothing_is_left(store)


def test_a_task_may_take_its_lock_again_in_both_ways(store: shardkv.Store) -> None:
    async def main() -> None:
        async with store.lock(b"k"), store.locks([b"k", b"j"]):
            with store.lock(b"k"):
                assert not try_lock(store, b"k")

    asyncio.run(main())
    assert nothing_is_left(store)


def test_a_cancelled_waiter_leaves_the_line(store: shardkv.Store) -> None:
    async def main() -> None:
        async with store.lock(b"k"):
            first = asyncio.create_task(store.lock(b"k").acquire_async())
            await line_of(store, 1)
            second = asyncio.create_task(release_at_once(store))
            await line_of(store, 2)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert in_line(store) == 1
        await second

    asyncio.run(main())
    assert nothing_is_left(store)


def test_a_waiter_cancelled_when_it_was_just_granted_hands_the_lock_on(
    store: shardkv.Store,
) -> None:
    async def main() -> None:
        lock = store.lock(b"k")
        await lock.acquire_async()
        first = asyncio.create_task(store.lock(b"k").acquire_async())
        await line_of(store, 1)
        second = asyncio.create_task(release_at_once(store))
        await line_of(store, 2)
        lock.release()  # the first owns it now, and has not run since
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second

    asyncio.run(main())
    assert nothing_is_left(store)


async def release_at_once(store: shardkv.Store) -> None:
    async with store.lock(b"k"):
        pass


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_task_that_waited_too_long_leaves_no_trace(store: shardkv.Store, timeout: float) -> None:
    async def attempt() -> None:
        with pytest.raises(shardkv.LockTimeoutError):
            await store.lock(b"k", timeout=timeout).acquire_async()

    async def main() -> None:
        async with store.lock(b"k"):
            await asyncio.create_task(attempt())
            assert in_line(store) == 0
        async with store.lock(b"k", timeout=timeout):
            pass

    asyncio.run(main())
    assert nothing_is_left(store)


def test_a_task_cannot_release_what_another_holds(store: shardkv.Store) -> None:
    lock = store.lock(b"k")

    async def thief() -> None:
        with pytest.raises(shardkv.LockOwnerError, match="thief"):
            lock.release()

    async def main() -> None:
        async with lock:
            await asyncio.create_task(thief())

    asyncio.run(main())


def test_blocking_the_loop_for_a_task_of_it_is_refused(store: shardkv.Store) -> None:
    """It could never end: the holder needs the loop, and the loop is blocked."""

    async def block() -> None:
        with pytest.raises(shardkv.LockOwnerError, match="async with"), store.lock(b"k"):
            pass

    async def main() -> None:
        async with store.lock(b"k"):
            await asyncio.create_task(block())
        with store.lock(b"k"):
            pass

    asyncio.run(main())
    assert nothing_is_left(store)


def test_blocking_the_loop_behind_a_waiting_task_of_it_is_refused(store: shardkv.Store) -> None:
    """The thread that holds the lock would hand it to that task, which cannot run."""
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock(b"k"):
            held.set()
            go.wait()

    async def main() -> None:
        task = asyncio.create_task(release_at_once(store))
        await line_of(store, 1)
        with pytest.raises(shardkv.LockOwnerError, match="async with"):
            store.lock(b"k").acquire()
        go.set()
        await task

    threads = Threads()
    threads.start(hold)
    held.wait()
    asyncio.run(main())
    threads.join()
    assert nothing_is_left(store)


def test_a_loop_that_was_closed_is_passed_over(store: shardkv.Store) -> None:
    """A task in line whose loop is gone never hears of its grant; the next in line must not wait behind it."""
    got = Threads()

    async def wait_forever() -> None:
        asyncio.create_task(store.lock(b"k").acquire_async())  # noqa: RUF006
        await line_of(store, 1)

    def work() -> None:
        with store.lock(b"k"):
            pass

    with store.lock(b"k"):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(wait_forever())
        (task,) = asyncio.all_tasks(loop)
        loop.close()
        got.start(work)
        until(lambda: in_line(store) == 2)
    got.join()
    assert nothing_is_left(store)
    del task


def test_without_a_loop_only_threads_can_wait(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        waiting: Any = store.lock(b"k").acquire_async()
        with pytest.raises(shardkv.LockOwnerError, match="no asyncio"):
            waiting.send(None)


def test_an_abandoned_generator_gives_its_lock_back(store: shardkv.Store) -> None:
    """The loop ends it in a task of its own, which did not hold the lock."""

    async def holding() -> AsyncIterator[int]:
        async with store.lock(b"held"):
            yield 1

    async def look() -> None:
        async for _ in holding():
            break

    async def main() -> None:
        await asyncio.create_task(look())
        async with store.lock(b"held", 30):
            pass

    asyncio.run(main())
    assert nothing_is_left(store)
