"""The waits of tasks as C keeps them: futures as far as asyncio can see, woken in order, in their own context."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import weakref
from typing import Any

import pytest
from aio.loops import Run

from shardkv._native import Wait, Waits

WHO: contextvars.ContextVar[int] = contextvars.ContextVar("WHO")


def new() -> Waits:
    return Waits(asyncio.get_running_loop(), Wait)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def resolve(waits: Waits, durable: int) -> None:
    """Wake as a signal does: from a callback of the loop, since a task cannot step inside another."""
    asyncio.get_running_loop().call_soon(waits.resolve, durable)
    await asyncio.sleep(0)


def test_those_who_are_due_are_woken_in_order_and_in_their_context(run: Run[Any]) -> None:
    async def main() -> None:
        waits, woken = new(), list[tuple[int, int]]()

        async def doze(number: int) -> None:
            WHO.set(number)
            await waits.wait(number)
            assert asyncio.current_task() is tasks[number - 1]
            woken.append((number, WHO.get()))

        tasks = [asyncio.create_task(doze(number)) for number in range(1, 301)]
        await settle()
        assert (len(waits), waits.first) == (300, 1)
        await resolve(waits, 200)
        assert woken == [(number, number) for number in range(1, 201)], "at once, not by the queue"
        assert (len(waits), waits.first) == (100, 201)
        await resolve(waits, 200)
        await resolve(waits, 1000)
        await asyncio.gather(*tasks)
        assert [who for who, _ in woken] == list(range(1, 301))
        assert (len(waits), waits.first) == (0, 0)

    run(main())


def test_the_front_holds_the_others_back(run: Run[Any]) -> None:
    async def main() -> None:
        waits = new()
        tasks = [asyncio.ensure_future(doze(waits, seqno)) for seqno in (5, 3, 9)]
        await settle()
        await resolve(waits, 4)
        assert len(waits) == 3
        await resolve(waits, 5)
        assert waits.first == 9
        await resolve(waits, 9)
        await asyncio.gather(*tasks)

    run(main())


async def doze(waits: Waits, seqno: int) -> None:
    await waits.wait(seqno)


def test_what_is_resolved_before_it_is_awaited_does_not_sleep(run: Run[Any]) -> None:
    async def main() -> None:
        waits = new()
        wait = waits.wait(1)
        waits.resolve(1)
        await wait
        failed = waits.wait(2)
        waits.pop().fail(KeyError("why"))
        with pytest.raises(KeyError, match="why"):
            await failed
        assert failed.seqno == 2

    run(main())


def test_tasks_may_append_while_they_are_being_woken(run: Run[Any]) -> None:
    async def main() -> None:
        waits, steps = new(), list[int]()

        async def chain(number: int) -> None:
            for turn in range(5):
                await waits.wait(turn + 1)
                steps.append(number)

        tasks = [asyncio.create_task(chain(number)) for number in range(200)]
        await settle()
        await resolve(waits, 2)
        assert len(steps) == 400
        await resolve(waits, 5)
        await asyncio.gather(*tasks)
        assert len(steps) == 1000

    run(main())


def test_cancelling_wakes_with_its_message_and_disturbs_nobody(run: Run[Any]) -> None:
    async def main() -> None:
        waits = new()
        tasks = [asyncio.create_task(doze(waits, 1)) for _ in range(3)]
        await settle()
        assert tasks[1].cancel("enough")
        await resolve(waits, 1)
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await tasks[1]
        await asyncio.gather(tasks[0], tasks[2])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(doze(waits, 2), 0.001)
        assert len(waits) == 1
        await resolve(waits, 2)

    run(main())


def test_a_failure_is_raised_where_the_task_waits(run: Run[Any]) -> None:
    async def main() -> None:
        waits = new()
        task = asyncio.create_task(doze(waits, 1))
        await settle()
        error = OSError(5, "broken")
        waits.pop().fail(error)
        with pytest.raises(OSError, match="broken") as caught:
            await task
        assert caught.value is error
        with pytest.raises(IndexError):
            waits.pop()

    run(main())


def test_what_ends_the_program_ends_the_pass_and_the_rest_is_not_lost() -> None:
    loop = asyncio.new_event_loop()
    waits = Waits(loop, Wait)

    async def stop() -> None:
        await waits.wait(1)
        raise SystemExit(7)

    tasks = [loop.create_task(work) for work in (stop(), doze(waits, 1))]
    loop.run_until_complete(settle())
    loop.call_soon(waits.resolve, 1)
    with pytest.raises(SystemExit):
        loop.run_until_complete(settle())
    assert len(waits) == 1
    loop.call_soon(waits.resolve, 1)
    loop.run_until_complete(tasks[1])
    assert isinstance(tasks[0].exception(), SystemExit)
    loop.close()


def test_a_wait_is_awaited_once_and_on_its_own_loop(run: Run[Any]) -> None:
    async def main() -> None:
        waits = new()
        wait = waits.wait(1)

        async def second() -> None:
            await wait

        tasks = [asyncio.create_task(second()) for _ in range(2)]
        await settle()
        with pytest.raises(RuntimeError, match="one task"):
            await tasks[1]
        await resolve(waits, 1)
        await tasks[0]

        async def foreign() -> None:
            await waits.wait(2)

        def elsewhere() -> None:
            with pytest.raises(RuntimeError):
                run(foreign())

        await asyncio.to_thread(elsewhere)

    run(main())


def test_tasks_that_nobody_wakes_are_collected_with_their_loop() -> None:
    class Marker:
        pass

    async def forever(waits: Waits, marker: Marker) -> None:
        await waits.wait(1)

    loop, marker = asyncio.new_event_loop(), Marker()
    gone = weakref.ref(marker)
    waits = Waits(loop, Wait)
    task = loop.create_task(forever(waits, marker))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(settle())
    loop.close()
    del loop, marker, waits, task
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("wrong", [-1, 1 << 64, "1", None, 1.5])
def test_a_seqno_is_a_number(wrong: Any) -> None:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        waits = Waits(loop, Wait)
        for call in (waits.wait, waits.resolve):
            with pytest.raises((TypeError, OverflowError)):
                call(wrong)
    with pytest.raises(TypeError):
        Wait()
