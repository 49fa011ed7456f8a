"""The six workloads of YCSB's core, and the streams of operations that they give."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.ycsb import distributions
from bench.ycsb.keys import Numbers
from bench.ycsb.records import CHANGES

SEED = 20
LONGEST_SCAN = 100
SPARE_SHARE = 4  # one spare draw for so many operations; they are used in a circle


class Kind(enum.IntEnum):
    """What an operation does."""

    READ = 0
    UPDATE = 1
    INSERT = 2
    SCAN = 3
    RMW = 4


@dataclass(frozen=True)
class Workload:
    """Shares of the operations, in the order of `Kind`, and how reads choose their records."""

    name: str
    about: str
    shares: tuple[float, float, float, float, float]
    latest: bool = False

    @property
    def inserts(self) -> float:
        """The share of operations that insert."""
        return self.shares[Kind.INSERT]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of operations that it has."""
        return tuple(kind for kind in Kind if self.shares[kind])


WORKLOADS = {
    one.name: one
    for one in (
        Workload("A", "50 % reads, 50 % updates, zipfian", (0.5, 0.5, 0, 0, 0)),
        Workload("B", "95 % reads, 5 % updates, zipfian", (0.95, 0.05, 0, 0, 0)),
        Workload("C", "reads, zipfian", (1, 0, 0, 0, 0)),
        Workload("D", "95 % reads of the latest, 5 % inserts", (0.95, 0, 0.05, 0, 0), latest=True),
        Workload("E", "95 % scans of 1 .. 100, 5 % inserts, zipfian", (0, 0, 0.05, 0.95, 0)),
        Workload("F", "50 % reads, 50 % read-modify-writes, zipfian", (0.5, 0, 0, 0, 0.5)),
    )
}


@dataclass(frozen=True)
class Stream:
    """The operations of one client, one array element each.

    Args:
        kinds: of `Kind`.
        targets: record numbers; distances from the newest record when the workload reads the latest.
            Without inserts all of them exist. With inserts a number may lie beyond the newest record.
        extras: of updates and inserts a number that the new value is made from; of scans the length.
        spares: what to take instead of targets that lie beyond the newest record.
    """

    kinds: NDArray[np.uint8]
    targets: Numbers
    extras: Numbers
    spares: Numbers


@dataclass(frozen=True)
class Size:
    """How much: records before the run, operations of all clients together, clients."""

    records: int
    operations: int
    clients: int


def streams(workload: Workload, size: Size) -> list[Stream]:
    """Return the stream of every client: the same for the same arguments."""
    return [_stream(workload, size, client) for client in range(size.clients)]


def _stream(workload: Workload, size: Size, client: int) -> Stream:
    source = np.random.default_rng([SEED, ord(workload.name), client])
    count = size.operations // size.clients
    draws = source.random(count)
    kinds = np.searchsorted(np.cumsum(workload.shares), draws, side="right").astype(np.uint8)
    choose = _latest if workload.latest else _zipfian
    targets, spares = choose(workload, size, source)
    extras = source.integers(0, CHANGES, count)
    scans = kinds == Kind.SCAN
    extras[scans] = source.integers(1, LONGEST_SCAN + 1, count)[scans]
    return Stream(kinds, targets, extras, spares)


def _zipfian(
    workload: Workload, size: Size, source: np.random.Generator
) -> tuple[Numbers, Numbers]:
    count = size.operations // size.clients
    # YCSB counts the records, the inserts that it expects, twice, and one more.
    items = size.records + int(size.operations * workload.inserts * 2) + 1
    targets = distributions.scrambled(source.random(count), items)
    while not workload.inserts and len(wrong := np.flatnonzero(targets >= size.records)):
        targets[wrong] = distributions.scrambled(source.random(len(wrong)), items)
    spares = distributions.scrambled(source.random(count // SPARE_SHARE + 1), items)
    return targets, np.append(spares, 0)  # record 0 is always there


def _latest(workload: Workload, size: Size, source: np.random.Generator) -> tuple[Numbers, Numbers]:
    count = size.operations // size.clients
    first = size.records - 1
    # How many inserts precede an operation depends on the run by a few; the expected number is as good.
    before = np.arange(count) * size.clients * workload.inserts
    distances = distributions.latest(source.random(count), first, first + before.astype(np.int64))
    return np.minimum(distances, first), np.zeros(0, np.int64)
