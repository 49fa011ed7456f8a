"""Row 14: hashing a 16-byte key and finding its shard on the ring, in C."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness import Harness
from bench.result import Curve, RowResult, Traced, Unavailable
from bench.targets import SUBJECT

if TYPE_CHECKING:
    from bench.rows import Row

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
SOURCES = REPOSITORY / "csrc"
PARTS = ("ring.c", "hash.c", "radix.c", "memory.c", "error.c")
FLAGS = ("@compile_flags.txt", "-O2")
SHARDS = 64


def lookups(row: Row, harness: Harness) -> RowResult:
    """Row 14: lookups per second and the largest share of keys over the mean share."""
    with harness.directory() as path:
        program = _build(path)
        rounds = harness.rounds([SUBJECT], lambda _: _run(program, harness.plan.ring_lookups))
    settings = {"lookups": harness.plan.ring_lookups, "shards": SHARDS, "flags": " ".join(FLAGS)}
    return RowResult(row.name, row.work, rounds.series, settings=settings)


def _build(directory: Path) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not (SOURCES / "ring.h").exists():
        raise Unavailable("needs a C compiler and the C sources")
    program = directory / "ring_bench"
    inputs = [str(BENCH / "ring_bench.c"), *(str(SOURCES / part) for part in PARTS)]
    subprocess.run([compiler, *FLAGS, "-o", str(program), *inputs], cwd=REPOSITORY, check=True)
    return program


def _run(program: Path, count: int) -> Traced:
    command = [str(program), str(SHARDS), str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    counts = tuple(map(float, found.pop("shard_records")))
    return Traced(
        found, (Curve("shard_records", "shard", tuple(map(float, range(SHARDS))), counts),)
    )
