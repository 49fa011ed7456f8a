"""Micro operations in pytest-benchmark's own format: `pytest bench --benchmark-only`.

One group per operation, one benchmark per engine. The engines' turns do not interleave here, so
ratios belong to `python -m bench`; this is for watching one operation while working on it. The ring's
lookup is timed in C, by row 14 alone.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import shardkv
from bench.counters import COUNTERS, KEY, counter_class
from bench.engines import ENGINES, Durability, Engine, Pairs, Setup, engine_class, open_engine
from bench.harness import default_directory
from bench.records import records, split
from bench.result import Unavailable
from bench.rows.atomic import WORKS

POOL_RECORDS = 200_000
TABLE_RECORDS = 50_000
BATCH_RECORDS = 1000
THREADS, SHARE_RECORDS = 16, 100
TASKS = 1000

Opener = Callable[[Durability], Engine]


@pytest.fixture(scope="module")
def pool() -> Pairs:
    return records(POOL_RECORDS)


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory on a real disk, which pytest's own need not be."""
    parent = default_directory()
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="micro-", dir=parent) as path:
        yield Path(path)


@pytest.fixture(params=ENGINES)
def opener(request: pytest.FixtureRequest, directory: Path) -> Iterator[Opener]:
    """Open the store of one engine; skip engines that are not installed."""
    try:
        engine_class(request.param)
    except ImportError as error:
        pytest.skip(str(error))
    opened: list[Engine] = []

    def open_it(durability: Durability) -> Engine:
        try:
            opened.append(open_engine(request.param, directory, Setup(durability)))
        except Unavailable as reason:
            pytest.skip(str(reason))
        return opened[-1]

    yield open_it
    for engine in opened:
        engine.close()


@pytest.fixture
def table(opener: Opener, pool: Pairs) -> Engine:
    """A store that holds TABLE_RECORDS, flushed."""
    engine = opener(Durability.MEMORY)
    session = engine.session()
    for batch in split(pool[:TABLE_RECORDS], BATCH_RECORDS):
        session.put_many(batch)
    session.close()
    engine.sync()
    engine.flush()
    return engine


@pytest.mark.benchmark(group="put, ack disk")
def test_put_ack_disk(benchmark: BenchmarkFixture, opener: Opener, pool: Pairs) -> None:
    session, pairs = opener(Durability.DISK).session(), itertools.cycle(pool)
    benchmark(lambda: session.put(*next(pairs)))
    session.close()


@pytest.mark.benchmark(group="1,600 puts from 16 threads, ack disk")
def test_put_from_threads(benchmark: BenchmarkFixture, opener: Opener, pool: Pairs) -> None:
    engine, own = opener(Durability.DISK), threading.local()

    def begin() -> None:
        own.put = engine.session().put

    def work(share: Pairs) -> None:
        for key, value in share:
            own.put(key, value)

    shares = split(pool[: THREADS * SHARE_RECORDS], SHARE_RECORDS)
    with ThreadPoolExecutor(THREADS, initializer=begin) as threads:
        benchmark(lambda: list(threads.map(work, shares)))


@pytest.mark.benchmark(group="1,000 puts from 1,000 tasks, ack disk")
def test_put_from_tasks(benchmark: BenchmarkFixture, opener: Opener, pool: Pairs) -> None:
    lent = opener(Durability.DISK).on_loop
    with asyncio.Runner() as runner:
        try:
            context = lent()
        except Unavailable as reason:
            pytest.skip(str(reason))
        calls = runner.run(context.__aenter__())

        async def work() -> None:
            await asyncio.gather(*(calls.put(key, value) for key, value in pool[:TASKS]))

        benchmark(lambda: runner.run(work()))
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.benchmark(group="submit, or put without a sync")
def test_put_ack_memory(benchmark: BenchmarkFixture, opener: Opener, pool: Pairs) -> None:
    session, pairs = opener(Durability.MEMORY).session(), itertools.cycle(pool)
    benchmark(lambda: session.put(*next(pairs)))
    session.close()


@pytest.mark.benchmark(group="put_many of 1,000, ack disk")
def test_put_many_ack_disk(benchmark: BenchmarkFixture, opener: Opener, pool: Pairs) -> None:
    session = opener(Durability.DISK).session()
    batches = itertools.cycle(split(pool, BATCH_RECORDS))
    benchmark(lambda: session.put_many(next(batches)))
    session.close()


@pytest.mark.benchmark(group="get, cached, flushed")
def test_get(benchmark: BenchmarkFixture, table: Engine, pool: Pairs) -> None:
    session, keys = table.session(), itertools.cycle([key for key, _ in pool[:TABLE_RECORDS]])
    benchmark(lambda: session.get(next(keys)))
    session.close()


@pytest.mark.benchmark(group="scan of 50,000, flushed")
def test_scan(benchmark: BenchmarkFixture, table: Engine) -> None:
    try:
        table.scan()
    except Unavailable as reason:
        pytest.skip(str(reason))
    benchmark(lambda: deque(table.scan(), maxlen=0))


@pytest.mark.benchmark(group="increment of one key, ack disk")
@pytest.mark.parametrize("name", COUNTERS)
def test_increment(name: str, benchmark: BenchmarkFixture, directory: Path) -> None:
    try:
        kind = counter_class(name)
    except (ImportError, Unavailable) as reason:
        pytest.skip(str(reason))
    with kind(directory) as counter:
        caller = counter.caller()
        benchmark(lambda: caller.write(KEY, 1))
        caller.close()


@pytest.mark.benchmark(group="read and write in one step, ack disk")
@pytest.mark.parametrize("call", WORKS)
def test_atomic(call: str, benchmark: BenchmarkFixture, directory: Path, pool: Pairs) -> None:
    with shardkv.open(directory, ack="disk") as store:
        work, arguments = WORKS[call](store, pool[:TABLE_RECORDS])
        each = iter(arguments)
        benchmark(lambda: work(*next(each)))
        store.close(flush=False)
