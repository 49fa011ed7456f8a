"""The end of a store for asyncio, and what outlives it: scans, batches, flushes, watches, loops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aio.loops import Run, eventfds, runs, stored

import shardkv
import shardkv.aio
from shardkv.aio import lines


def test_what_outlives_the_store_is_told_though_others_have_the_directory_open(
    run: Run[Any], path: Path
) -> None:
    """A flush under way, and the end of a batch, armed a notifier whose memory was given back."""

    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        await store.put_many((b"%d" % i, bytes(1000)) for i in range(20000))
        flush = asyncio.create_task(store.flush())
        batch = store.batch()
        batch.put(b"late", b"1")
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(shardkv.ClosedError):
            await flush
        with pytest.raises(shardkv.ClosedError):
            await batch.__aexit__(None, None, None)

    with shardkv.open(path, shards=1) as other:
        run(main())
        assert b"late" not in other


def test_a_notifier_that_was_closed_is_asked_nothing(run: Run[Any], path: Path) -> None:
    async def main() -> None:
        store = await shardkv.aio.open(path, shards=1)
        line = store._line()
        await store.close()
        await asyncio.sleep(0)
        with pytest.raises(shardkv.ClosedError):
            await line.durable(0)
        with pytest.raises(shardkv.ClosedError):
            line.when_room(0, lambda: None)

    run(main())


def test_a_store_that_is_being_closed_takes_no_calls(run: Run[Any], path: Path) -> None:
    """It made a line anew, which nobody closed: where others had the directory open, the closed store went on."""

    async def main() -> None:
        before = eventfds()
        store = await shardkv.aio.open(path)
        await store.put(b"a", b"1")
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(shardkv.ClosedError):
                await store.put(b"b", b"2")
            with pytest.raises(shardkv.ClosedError):
                await store.get(b"a")
            assert store.closed
            await closing
        await asyncio.sleep(0)
        assert eventfds() == before

    with shardkv.open(path) as other:
        run(main())
        assert dict(other.items()) == {b"a": b"1"}


def test_a_loop_that_comes_while_the_store_is_being_closed_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the store and the line that it gets, another loop closed it."""
    run = runs("asyncio")

    class Slow(lines.Line):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            thread = threading.Thread(target=run, args=(store.close(),))
            thread.start()
            thread.join()

    async def main() -> None:
        before = eventfds()
        with pytest.raises(shardkv.ClosedError):
            await store.put(b"a", b"1")
        await asyncio.sleep(0)
        assert eventfds() == before

    with shardkv.open(path) as other:
        store = run(_open(path))
        monkeypatch.setattr(lines, "Line", Slow)
        run(main())
        assert not other


async def _open(path: Path) -> shardkv.aio.Store:
    return await shardkv.aio.open(path)


def test_two_loops_that_find_a_third_one_closed(path: Path) -> None:
    """Both gave back its line; the second put was a KeyError."""
    run = runs("asyncio")
    store = run(_open(path))

    class Left(asyncio.SelectorEventLoop):
        told = False

        def is_closed(self) -> bool:
            closed = super().is_closed()
            if closed and not self.told:
                self.told = True
                thread = threading.Thread(target=run, args=(store.put(b"a", b"1"),))
                thread.start()
                thread.join()
            return closed

    with asyncio.Runner(loop_factory=Left) as runner:
        runner.run(store.put(b"b", b"2"))
        left = runner.get_loop()
    assert left in store._lines
    assert run(store.put(b"c", b"3")) == 3
    run(store.close())


def test_a_close_that_ends_with_its_loop_is_made_all_the_same(run: Run[Any], path: Path) -> None:
    """Where all threads were busy, nobody closed it."""
    free = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        store = await shardkv.aio.open(path)
        await store.put(b"a", b"1")
        loop.run_in_executor(None, free.wait)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        rest.append(asyncio.create_task(last()))
        await asyncio.sleep(0)

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        finally:  # the loop has ended what is left on it
            free.set()

    rest: list[Any] = []
    run(main())
    with shardkv.open(path) as store:
        assert store._shared.users == 1


def test_who_waits_is_served_beside_a_watch_of_what_comes_later(run: Run[Any], path: Path) -> None:
    """The signal was armed for the watch alone: a write that was to be durable before it was never told."""

    async def main() -> None:
        async with shardkv.aio.open(path, shards=1) as store:
            for _ in range(50):
                ticket = await store.submit(b"a", b"1")
                async with store.watch(since=ticket.seqno) as watch:
                    waiter = asyncio.create_task(watch.get())
                    waiting = asyncio.create_task(ticket.wait(20))
                    assert await waiting == ticket.seqno
                    waiter.cancel()
                    await asyncio.wait([waiter])

    run(main())


def test_a_seqno_that_was_not_written_is_not_waited_for(run: Run[Any], path: Path) -> None:
    """Who waited for it stood in front of all others, for ever."""

    async def main() -> None:
        async with shardkv.aio.open(path) as store:
            with pytest.raises(shardkv.InvalidError, match=r"seqno is 2; it must be 0\.\.0"):
                await store.durable(2)
            wrong: Any
            for wrong in ("1", 1.0, True, None):
                with pytest.raises(TypeError, match="seqno must be an int"):
                    await store.durable(wrong)
            await store.durable(await store.put(b"a", b"1"))

    run(main())
    assert stored(path) == {b"a": b"1"}


@pytest.mark.parametrize("step", ["read", "failure", "arm"])
def test_a_signal_that_ctrl_c_came_upon_is_looked_at_again(path: Path, step: str) -> None:
    """It was taken, and nobody armed anew: whoever waited, and whoever came later, waited for ever."""
    struck: list[str] = []
    with asyncio.Runner() as runner:
        loop, store = runner.get_loop(), runner.run(_open(path))
        runner.run(store.put(b"before", b"0"))
        notifier = store._lines[loop]._notifier
        take = getattr(notifier, step)

        def strike(*args: Any) -> Any:
            answer = take(*args)
            if not struck:
                struck.append(step)
                raise KeyboardInterrupt
            return answer

        setattr(notifier, step, strike)
        put = loop.create_task(store.put(b"a", b"1"))
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.Event().wait())
        if step != "arm":  # where it was the task itself that was struck
            assert loop.run_until_complete(asyncio.wait_for(put, 20)) == 2
        assert loop.run_until_complete(asyncio.wait_for(store.put(b"b", b"2"), 20)) == 3
        loop.run_until_complete(store.close())
    assert stored(path) == {b"before": b"0", b"a": b"1", b"b": b"2"}
