"""What clients of a run share, and what each of them notes."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.engines import Pairs, Session
from bench.ycsb.records import Damaged, Values, check
from bench.ycsb.window import InsertWindow
from bench.ycsb.workloads import Stream, Workload

NS = 1_000_000_000


@dataclass(frozen=True)
class Pace:
    """How long to run, in seconds: unmeasured, then measured; and operations per second, or None."""

    warm: float
    seconds: float
    rate: float | None = None


@dataclass(frozen=True)
class Table:
    """The records of a run.

    Args:
        keys: of all records that exist or will be inserted, by number.
        values: where values come from.
        window: what is inserted so far.
    """

    keys: Sequence[bytes]
    values: Values
    window: InsertWindow


@dataclass(frozen=True)
class Job:
    """What the clients do: one stream each."""

    workload: Workload
    streams: Sequence[Stream]
    table: Table

    def operands(self, stream: Stream) -> tuple[list[int], Iterable[object], list[int]]:
        """Return kinds, targets and extras as plain objects, so that the run makes none.

        Without inserts every target is a key; else it is the number in the stream.
        """
        targets: Iterable[object] = stream.targets.tolist()
        if not self.workload.inserts:
            targets = [self.table.keys[number] for number in stream.targets.tolist()]
        return stream.kinds.tolist(), targets, stream.extras.tolist()

    def dues(self, client: int, pace: Pace) -> list[int]:
        """Return when each operation of `client` is due, in ns since the start; empty: at once."""
        if pace.rate is None:
            return []
        numbers = np.arange(len(self.streams[client].kinds)) * len(self.streams) + client
        found: list[int] = (numbers * (NS / pace.rate)).astype(np.int64).tolist()
        return found


@dataclass
class Log:
    """What one client noted: times in ns, and the keys that it should have found.

    Args:
        kinds: of all operations of its stream; those that were done come first.
        begins, ends: of the operations that were done.
        middles: between the read and the update of each read-modify-write.
        dues: when the operations should have begun, since the start; empty in a closed loop.
    """

    kinds: NDArray[np.uint8]
    begins: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    middles: array[int] = field(default_factory=lambda: array("q"))
    dues: Sequence[int] = ()
    missed: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What all clients noted, and the measured span of time, in ns."""

    logs: Sequence[Log]
    start: int
    begin: int
    end: int


def exhausted(pace: Pace) -> ValueError:
    """Return the error for clients that had nothing left to do when measuring began."""
    return ValueError(
        f"all operations were done in the {pace.warm} s of warm-up: plan more of them"
    )


def spare(stream: Stream) -> Iterator[int]:
    """Return endless replacements for targets that are beyond the newest record."""
    return itertools.cycle(stream.spares.tolist())


def checked(session: Session) -> Session:
    """Return the session with every record that it reads checked."""
    get, scan = session.get, session.scan

    def checked_get(key: bytes) -> bytes | None:
        found = get(key)
        check(key, found)
        return found

    def checked_scan(start: bytes, most: int) -> Pairs:
        return check_rows((scan or _no_scan)(start, most), start, most)

    return Session(session.put, session.put_many, checked_get, session.close, checked_scan)


def check_rows(rows: Pairs, start: bytes, most: int) -> Pairs:
    """Check what a scan returned; return it.

    Raises:
        Damaged: as `check`, or when the rows are out of order, out of range or too many.
    """
    if len(rows) > most or any(low >= high for (low, _), (high, _) in itertools.pairwise(rows)):
        raise Damaged(f"a scan of {most} from {start!r} returned {[key for key, _ in rows]}")
    if rows and rows[0][0] < start:
        raise Damaged(f"a scan from {start!r} began at {rows[0][0]!r}")
    for key, record in rows:
        check(key, record)
    return rows


def _no_scan(start: bytes, most: int) -> Pairs:
    raise AssertionError("the engine keeps no key order")


def check_all(session: Session, table: Table) -> int:
    """Check every record that was loaded, or inserted and acknowledged; return how many."""
    count = table.window.last + 1
    for key in table.keys[:count]:
        check(key, session.get(key))
    return count
