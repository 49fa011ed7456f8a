"""Client threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from bench.engines import Engine, Session
from bench.ycsb.clients import NS, Job, Log, Outcome, Pace, checked, exhausted, spare
from bench.ycsb.workloads import Kind, Stream

READY_SECONDS = 30.0
NAP_NS = 20_000_000  #: who waits for an arrival looks so often whether all are stopped

Act = Callable[[Any, int], object]
Operations = Iterable[tuple[Act, Any, int]]


def acts(session: Session, job: Job, stream: Stream, log: Log) -> dict[int, Act]:
    """Return what each kind of operation does: a call with target and extra."""
    read, update, modify = _of_one_record(session, job, log)
    insert, scan = _of_the_table(session, job, stream, log)
    return dict(zip(Kind, (read, update, insert, scan, modify), strict=True))


def _of_one_record(session: Session, job: Job, log: Log) -> tuple[Act, Act, Act]:
    get, put, changed = session.get, session.put, job.table.values.changed
    keys, window = job.table.keys, job.table.window
    missed, middle, clock = log.missed.append, log.middles.append, time.perf_counter_ns

    def read(key: bytes, extra: int) -> None:
        if get(key) is None:
            missed(key)

    def read_latest(distance: int, extra: int) -> None:
        read(keys[window.last - distance], extra)

    def update(key: bytes, extra: int) -> None:
        record = get(key)
        if record is None:
            missed(key)
        else:
            put(key, changed(key, record, extra))

    def modify(key: bytes, extra: int) -> None:
        read(key, extra)
        middle(clock())
        update(key, extra)

    return read_latest if job.workload.latest else read, update, modify


def _of_the_table(session: Session, job: Job, stream: Stream, log: Log) -> tuple[Act, Act]:
    put, scan, inserted = session.put, session.scan, job.table.values.inserted
    keys, window, missed, spares = (
        job.table.keys,
        job.table.window,
        log.missed.append,
        spare(stream),
    )

    def insert(target: int, extra: int) -> None:
        number = window.take()
        key = keys[number]
        put(key, inserted(key, extra))
        window.acknowledge(number)

    def scan_some(number: int, most: int) -> None:
        while number > window.last:
            number = next(spares)
        rows = scan(keys[number], most) if scan else ()
        if not rows or rows[0][0] != keys[number]:
            missed(keys[number])

    return insert, scan_some


class Crew:
    """Threads that start together and stop together."""

    def __init__(self, engine: Engine, job: Job, pace: Pace, check: bool) -> None:
        self.engine, self.job, self.pace, self.check = engine, job, pace, check
        self.stop: list[bool] = []  # false while empty: the cheapest flag there is
        self.over = threading.Event()  # a client has ended, by an error or for want of operations
        self.start = 0
        self.ready = threading.Barrier(len(job.streams) + 1, action=self._note_start)
        self.logs = [
            Log(stream.kinds, dues=job.dues(client, pace))
            for client, stream in enumerate(job.streams)
        ]

    def _note_start(self) -> None:
        self.start = time.perf_counter_ns()

    def work(self, client: int) -> None:
        """Do the operations of one client until its stream ends or all are stopped."""
        try:
            with closing(self.engine.session()) as session:
                self._operate(checked(session) if self.check else session, client)
        finally:
            self.over.set()
            if not self.start:
                self.ready.abort()  # the others need not wait for this one

    def _operate(self, session: Session, client: int) -> None:
        stream, log = self.job.streams[client], self.logs[client]
        kinds, targets, extras = self.job.operands(stream)
        table = acts(session, self.job, stream, log)
        operations = zip(map(table.__getitem__, kinds), targets, extras, strict=True)
        try:
            self.ready.wait(READY_SECONDS)
        except threading.BrokenBarrierError:
            return
        if log.dues:
            self._at_rate(operations, log)
        else:
            self._at_once(operations, log)

    def _at_once(self, operations: Operations, log: Log) -> None:
        begin, end, clock, stop = (
            log.begins.append,
            log.ends.append,
            time.perf_counter_ns,
            self.stop,
        )
        for act, target, extra in operations:
            begin(clock())
            act(target, extra)
            end(clock())
            if stop:
                break

    def _at_rate(self, operations: Operations, log: Log) -> None:
        begin, end, clock, stop = (
            log.begins.append,
            log.ends.append,
            time.perf_counter_ns,
            self.stop,
        )
        for due, (act, target, extra) in zip(log.dues, operations, strict=True):
            at = due + self.start
            while (now := clock()) < at and not stop:
                time.sleep(min(at - now, NAP_NS) / NS)
            if stop:
                break
            begin(now)
            act(target, extra)
            end(clock())


def run(engine: Engine, job: Job, pace: Pace, *, check: bool = False) -> Outcome:
    """Let one thread for each stream of `job` work on `engine`.

    Raises:
        ValueError: when all operations are done before the measured time begins.
    """
    crew = Crew(engine, job, pace, check)
    with ThreadPoolExecutor(len(job.streams)) as pool:
        workers = [pool.submit(crew.work, client) for client in range(len(job.streams))]
        try:
            crew.ready.wait(READY_SECONDS)
            early = pace.warm > 0 and crew.over.wait(pace.warm)
            begin = time.perf_counter_ns() if pace.warm else crew.start
            crew.over.wait(pace.seconds)
            end = time.perf_counter_ns()
        finally:
            crew.stop.append(True)
            for worker in workers:
                worker.result()  # what failed there matters more than a broken barrier here
    if early:
        raise exhausted(pace)
    return Outcome(crew.logs, crew.start, begin, end)
