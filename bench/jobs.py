"""What needs a process of its own: writers that die, first opens, heaps that are measured alone.

`python -m bench.jobs NAME JSON` runs one job and prints what it measured as JSON; `run` does that
from the benchmark. The process then ends at once: nothing is closed, no exit handler runs.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.engines import Durability, Engine, Setup, engine_class, open_engine
from bench.machine import anonymous_bytes
from bench.records import chunks

NO_FLUSH_BYTES = 4 << 30
WARM_CHUNKS = 5
HEAP_SAMPLES = 20
REPOSITORY = Path(__file__).resolve().parent.parent

Result = dict[str, float]


@dataclass
class Job:
    """One order. Keeps what it opened alive: an engine may flush when its handle is freed."""

    engine: str
    path: str
    records: int
    shards: int | None = None
    opened: list[Engine] = field(default_factory=list)

    def open(self, budget_bytes: int | None = NO_FLUSH_BYTES) -> Engine:
        """Open the store, by default with a budget that no job exceeds."""
        setup = Setup(Durability.MEMORY, budget_bytes, self.shards)
        self.opened.append(open_engine(self.engine, Path(self.path), setup))
        return self.opened[-1]

    def first_key(self) -> bytes:
        """Return the first key that `fill` and `load` write."""
        return next(chunks(self.records))[0][0]


def fill(job: Job) -> Result:
    """Write records one by one into the log, sync, and die without closing."""
    store = job.open()
    put = store.session().put
    for chunk in chunks(job.records):
        for key, value in chunk:
            put(key, value)
    store.sync()
    return {"log_bytes": store.log_bytes()}


def replay(job: Job) -> Result:
    """Open after `fill` and read one record."""
    return _first_read(job, NO_FLUSH_BYTES)


def load(job: Job) -> Result:
    """Write records in batches, flush, and close cleanly."""
    begin = time.perf_counter()
    with job.open() as store:
        put_many = store.session().put_many
        for chunk in chunks(job.records):
            put_many(chunk)
        store.flush()
    return {"seconds": time.perf_counter() - begin}


def open_clean(job: Job) -> Result:
    """Open what `load` left, read one record, close."""
    found = _first_read(job, None)
    job.opened[-1].close()
    return found


def _first_read(job: Job, budget_bytes: int | None) -> Result:
    key = job.first_key()
    engine_class(job.engine)  # importing modules is not opening a store
    begin = time.perf_counter()
    store = job.open(budget_bytes)
    opened = time.perf_counter()
    found = store.session().get(key)
    read = time.perf_counter()
    if found is None:
        raise AssertionError(f"{job.engine} lost the first record")
    return {
        "seconds": read - begin,
        "open_ms": (opened - begin) * 1e3,
        "first_get_ms": (read - opened) * 1e3,
    }


def heap(job: Job) -> Result:
    """Write records that stay unflushed; sample the heap's growth between half of them and all."""
    store = job.open()
    put = store.session().put
    samples: list[float] = []
    written, base, base_written = 0, 0, 0
    step = job.records // 2 // HEAP_SAMPLES
    for number, chunk in enumerate(chunks(job.records)):
        for key, value in chunk:
            put(key, value)
        written += len(chunk)
        if number + 1 == WARM_CHUNKS:
            gc.collect()
            base, base_written = anonymous_bytes(), written
        elif written > job.records // 2 and written % step < len(chunk):
            samples.append((anonymous_bytes() - base) / (written - base_written))
    return {
        "heap_bytes": statistics.median(samples),
        "worst_bytes": max(samples),
        **{name: value / written for name, value in store.counters().items()},
    }


JOBS: dict[str, Callable[[Job], Result]] = {
    "fill": fill,
    "replay": replay,
    "load": load,
    "open_clean": open_clean,
    "heap": heap,
}


def run(name: str, engine: str, path: Path, records: int, shards: int | None = None) -> Result:
    """Run a job in a new process and return what it measured."""
    order = {"engine": engine, "path": str(path), "records": records, "shards": shards}
    command = [sys.executable, "-m", "bench.jobs", name, json.dumps(order)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    found: Result = json.loads(done.stdout)
    return found


def main(name: str, order: str) -> None:
    """Run one job and end the process at once."""
    job = Job(**json.loads(order))
    print(json.dumps(JOBS[name](job)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
