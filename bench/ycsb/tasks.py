"""Client tasks of one event loop, for engines that have an asyncio interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from bench.engines import Engine, LoopCalls, Pairs
from bench.ycsb.clients import NS, Job, Log, Outcome, Pace, check_rows, exhausted, spare
from bench.ycsb.records import check as check_record
from bench.ycsb.workloads import Kind, Stream

TURN_OPERATIONS = 4  #: then others run, since reads need not wait for anything

Act = Callable[[Any, int], Awaitable[None]]
Operations = Iterable[tuple[Act, Any, int]]


def acts(calls: LoopCalls, job: Job, stream: Stream, log: Log) -> dict[int, Act]:
    """Return what each kind of operation does: as `threads.acts`, awaited."""
    read, update, modify = _of_one_record(calls, job, log)
    insert, scan = _of_the_table(calls, job, stream, log)
    return dict(zip(Kind, (read, update, insert, scan, modify), strict=True))


def _of_one_record(calls: LoopCalls, job: Job, log: Log) -> tuple[Act, Act, Act]:
    get, put, changed = calls.get, calls.put, job.table.values.changed
    keys, window = job.table.keys, job.table.window
    missed, middle, clock = log.missed.append, log.middles.append, time.perf_counter_ns

    async def read(key: bytes, extra: int) -> None:
        if await get(key) is None:
            missed(key)

    async def read_latest(distance: int, extra: int) -> None:
        await read(keys[window.last - distance], extra)

    async def update(key: bytes, extra: int) -> None:
        record = await get(key)
        if record is None:
            missed(key)
        else:
            await put(key, changed(key, record, extra))

    async def modify(key: bytes, extra: int) -> None:
        await read(key, extra)
        middle(clock())
        await update(key, extra)

    return read_latest if job.workload.latest else read, update, modify


def _of_the_table(calls: LoopCalls, job: Job, stream: Stream, log: Log) -> tuple[Act, Act]:
    put, scan, inserted = calls.put, calls.scan, job.table.values.inserted
    keys, window, missed, spares = (
        job.table.keys,
        job.table.window,
        log.missed.append,
        spare(stream),
    )

    async def insert(target: int, extra: int) -> None:
        number = window.take()
        key = keys[number]
        await put(key, inserted(key, extra))
        window.acknowledge(number)

    async def scan_some(number: int, most: int) -> None:
        while number > window.last:
            number = next(spares)
        rows = await scan(keys[number], most)
        if not rows or rows[0][0] != keys[number]:
            missed(keys[number])

    return insert, scan_some


class Crew:
    """Tasks that start together and stop together."""

    def __init__(self, calls: LoopCalls, job: Job, pace: Pace) -> None:
        self.calls, self.job = calls, job
        self.stop: list[bool] = []
        self.over = asyncio.Event()
        self.start = 0
        self.logs = [
            Log(stream.kinds, dues=job.dues(client, pace))
            for client, stream in enumerate(job.streams)
        ]

    async def work(self, client: int, operations: Operations) -> None:
        """Do the operations of one client until its stream ends or all are stopped."""
        log = self.logs[client]
        try:
            if log.dues:
                await self._at_rate(operations, log)
            else:
                await self._at_once(operations, log)
        finally:
            self.over.set()

    async def _at_once(self, operations: Operations, log: Log) -> None:
        begin, end, clock, stop = (
            log.begins.append,
            log.ends.append,
            time.perf_counter_ns,
            self.stop,
        )
        for number, (act, target, extra) in enumerate(operations):
            if not number % TURN_OPERATIONS:
                await asyncio.sleep(0)
            begin(clock())
            await act(target, extra)
            end(clock())
            if stop:
                break

    async def _at_rate(self, operations: Operations, log: Log) -> None:
        begin, end, clock, stop = (
            log.begins.append,
            log.ends.append,
            time.perf_counter_ns,
            self.stop,
        )
        for due, (act, target, extra) in zip(log.dues, operations, strict=True):
            wait = due + self.start - clock()
            await asyncio.sleep(max(0, wait) / NS)
            if stop:
                break
            begin(clock())
            await act(target, extra)
            end(clock())


async def run(engine: Engine, job: Job, pace: Pace, *, check: bool = False) -> Outcome:
    """Let one task for each stream of `job` work on `engine`, on the running loop.

    Raises:
        ValueError: when all operations are done before the measured time begins.
    """
    async with engine.on_loop() as calls:
        crew = Crew(_checked(calls) if check else calls, job, pace)
        work = [_operations(crew, client) for client in range(len(job.streams))]
        try:
            return await _measure(crew, work, pace)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def _measure(crew: Crew, work: list[Operations], pace: Pace) -> Outcome:
    crew.start = time.perf_counter_ns()
    async with asyncio.TaskGroup() as group:
        clients = [
            group.create_task(crew.work(client, operations))
            for client, operations in enumerate(work)
        ]
        early = pace.warm > 0 and await _wait(crew.over, pace.warm)
        begin = time.perf_counter_ns() if pace.warm else crew.start
        await _wait(crew.over, pace.seconds)
        end = time.perf_counter_ns()
        crew.stop.append(True)
        for client in clients if pace.rate else ():
            client.cancel()  # it may sleep until its next operation is due
    if early:
        raise exhausted(pace)
    return Outcome(crew.logs, crew.start, begin, end)


def _operations(crew: Crew, client: int) -> Operations:
    stream = crew.job.streams[client]
    kinds, targets, extras = crew.job.operands(stream)
    table = acts(crew.calls, crew.job, stream, crew.logs[client])
    return zip(map(table.__getitem__, kinds), targets, extras, strict=True)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _checked(calls: LoopCalls) -> LoopCalls:
    async def get(key: bytes) -> bytes | None:
        found = await calls.get(key)
        check_record(key, found)
        return found

    async def scan(start: bytes, most: int) -> Pairs:
        return check_rows(await calls.scan(start, most), start, most)

    return LoopCalls(calls.put, get, scan)
