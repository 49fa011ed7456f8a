"""Rounds, turns and scratch directories.

Engines take turns inside every round and the order rotates from round to round, so that a slow
minute of the machine, or the wake of a neighbour's writes, does not always meet the same engine.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import noise
from bench.engines import Durability, Engine, Setup, open_engine
from bench.engines.behind import synced_behind
from bench.plans import Plan
from bench.records import records, split
from bench.result import Series, Traced, Turn, Unavailable

TABLE_SHARDS = 16
DIRECTORY = "build/bench"
Contender = tuple[str, str]  #: engine and variant
DIRECTORY_VARIABLE = "SHARDKV_BENCH_DIR"
SYNC_TIMES = ("overwrite_us", "append_us")


def default_directory() -> Path:
    """Return where scratch files go unless the caller says otherwise: a real disk, not /tmp."""
    return Path(os.environ.get(DIRECTORY_VARIABLE, DIRECTORY))


@dataclass(frozen=True)
class Rounds:
    """All turns of a row or of one of its variants."""

    series: tuple[Series, ...]
    sync_us: tuple[Turn, ...]


class Harness:
    """What rows share: the plan, the engines that are here, the records, a scratch directory."""

    def __init__(self, plan: Plan, engines: Sequence[str], scratch: Path) -> None:
        self.plan = plan
        self.engines = tuple(engines)
        self.scratch = scratch
        self.calibrations: list[Turn] = []  #: before every round and after the last
        self._numbers = itertools.count()
        self._tables: dict[str, Engine] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def present(self, *names: str) -> list[str]:
        """Return those of `names` that run in this benchmark.

        Raises:
            Unavailable: when none does.
        """
        found = [name for name in names if name in self.engines]
        if not found:
            raise Unavailable(f"none of {', '.join(names)} is here")
        return found

    @functools.cached_property
    def pool(self) -> list[tuple[bytes, bytes]]:
        """The records that the writing rows share, outside the reach of the garbage collector."""
        made = records(self.plan.loop_records)
        gc.collect()
        gc.freeze()
        return made

    def rounds(
        self,
        names: Sequence[str],
        turn: Callable[[str], Turn | Traced],
        *,
        variant: str = "",
        synced: bool = False,
    ) -> Rounds:
        """Give every engine of `names` one turn per round.

        Args:
            names: engines, in the order of the first round.
            turn: opens, runs and closes one engine; returns its metrics.
            variant: what to call this set of rounds, where a row has several.
            synced: let the machine's sync time of each round stand beside the figures.
        """
        turns = {(name, variant): functools.partial(turn, name) for name in names}
        return self.interleave(turns, synced=synced)

    def interleave(
        self, turns: Mapping[Contender, Callable[[], Turn | Traced]], *, synced: bool = False
    ) -> Rounds:
        """Give every contender one turn per round; each round begins one contender later.

        Args: as `rounds`, for rows whose engines differ in variant.
        """
        done: dict[Contender, list[Turn | Traced]] = {contender: [] for contender in turns}
        syncs = []
        for number in range(self.plan.rounds):
            measured = self._calibrate()
            if synced:
                syncs.append({name: measured[name] for name in SYNC_TIMES})
            shift = number % len(turns)
            for contender in [*turns][shift:] + [*turns][:shift]:
                done[contender].append(_without_gc(turns[contender]))
        self._calibrate()
        series = (Series.of(*contender, found) for contender, found in done.items())
        return Rounds(tuple(series), tuple(syncs))

    def _calibrate(self) -> Turn:
        self.calibrations.append(noise.calibrate(self.scratch))
        return self.calibrations[-1]

    @contextlib.contextmanager
    def directory(self) -> Iterator[Path]:
        """Lend an empty directory; afterwards nothing of it is left, nor left to write."""
        path = self.scratch / f"{next(self._numbers):04}"
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path)
            os.sync()  # the next engine's syncs must not carry this one's pages

    @contextlib.contextmanager
    def store(self, name: str, setup: Setup) -> Iterator[Engine]:
        """Open a fresh store of engine `name`, and remove it afterwards."""
        with self.directory() as path, open_engine(name, path, setup) as engine:
            with synced_behind(engine):
                yield engine

    def table(self, name: str) -> Engine:
        """Return the flushed store of engine `name` that the reading rows share until the end."""
        if name not in self._tables:
            engine = self._open.enter_context(
                self.store(name, Setup(Durability.MEMORY, shards=TABLE_SHARDS))
            )
            _load(engine, self.table_records)
            self._tables[name] = engine
        return self._tables[name]

    @functools.cached_property
    def table_records(self) -> list[tuple[bytes, bytes]]:
        """The records of the reading rows in key order, so that every engine packs its pages."""
        made = sorted(records(self.plan.table_records))
        gc.collect()
        gc.freeze()
        return made


def _load(engine: Engine, rows: list[tuple[bytes, bytes]]) -> None:
    session = engine.session()
    for batch in split(rows, 10_000):
        session.put_many(batch)
    session.close()
    engine.sync()
    engine.flush()


def _without_gc(turn: Callable[[], Turn | Traced]) -> Turn | Traced:
    gc.collect()
    gc.disable()
    try:
        return turn()
    finally:
        gc.enable()


@contextlib.contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the seconds since the block began."""
    begin = time.perf_counter()
    yield lambda: time.perf_counter() - begin
