"""Scrubbing: everything in a store is read and verified while it is used."""

from __future__ import annotations

import os
import signal
import threading
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from shardkv._native import Engine, ShardSum
from shardkv.backups import Progress, absolute
from shardkv.checks import Finding, finding_of
from shardkv.children import Child, raise_told
from shardkv.errors import CorruptionError, Error, LogGoneError
from shardkv.options import check_int

BLOCK_BYTES = 1 << 20
FASTEST = 1 << 46


@dataclass(frozen=True)
class ScrubReport:
    """What a scrub found.

    Attributes:
        findings: at most a hundred of each shard.
        bytes: that were read, of keys and values.
        seconds: that it took.
        shards: what each shard was found to hold; None: it could not be read.
        compared: the peers that were read, too, and hold the same seqno: their records were compared, shard by shard.
    """

    findings: tuple[Finding, ...]
    bytes: int
    seconds: float
    shards: tuple[ShardSum | None, ...]
    compared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class Scrubbing:
    """The scrubs of a store."""

    path: str
    _shared: Any

    @abstractmethod
    def _live(self) -> Engine: ...

    def scrub(
        self, *, bytes_per_s: int | None = None, progress: Progress | None = None
    ) -> ScrubReport:
        """Read and verify every record in the shards and in the log, beside reads and writes; in current peers, too.

        When nothing was written meanwhile, each shard's count and digest is also held against those of the peers.

        Args:
            bytes_per_s: how fast, at most; None: as fast as can be.
            progress: called after each shard with shards done and shards in all. What it raises ends the scrub.
        Returns: a ScrubReport; what is damaged is a finding, not an exception. `shardkv.check` mends it.
        Raises: ClosedError, DiskError.
        Threads: writers and readers go on. A shard that is read is held as by a snapshot: its file may grow meanwhile.
        Cost: reads everything once; the shards in a process of its own, which a damaged page may end: a finding, too.
        """
        pace = 0 if bytes_per_s is None else check_pace(bytes_per_s)
        began = time.monotonic()
        engine = self._live()
        peers = self._shared.peers.settle()
        seqno = engine.last_seqno()
        log = scrub_log(engine, pace)
        work = ShardScrub(self.path, pace, progress, engine)
        work.run()
        others = {path: scrub_shards(path, bytes_per_s=pace) for path in peers}
        same = [path for path, at in peers.items() if at == seqno == engine.last_seqno()]
        findings = [*log, *work.findings]
        for path, other in others.items():
            findings += [replace(found, file=f"{path}/{found.file}") for found in other.findings]
            if path in same:
                findings += differences(work.sums, other.shards, path)
        read = sum(found.read_bytes for found in work.sums if found)
        read += sum(other.bytes for other in others.values())
        spent = time.monotonic() - began
        return ScrubReport(tuple(findings), read, spent, tuple(work.sums), tuple(same))


def check_pace(bytes_per_s: int) -> int:
    """Return it, or raise unless it is a number of bytes per second."""
    check_int("bytes_per_s", bytes_per_s, FASTEST)
    return bytes_per_s


def scrub_shards(path: str | os.PathLike[str], *, bytes_per_s: int = 0) -> ScrubReport:
    """Verify the shards of a store, whoever has it open.

    Raises: InvalidError (there is no store), CorruptionError, FormatError (its manifest), DiskError.
    """
    began = time.monotonic()
    work = ShardScrub(absolute(path), bytes_per_s, None, None)
    work.run()
    read = sum(found.read_bytes for found in work.sums if found)
    return ScrubReport(tuple(work.findings), read, time.monotonic() - began, tuple(work.sums))


class ShardScrub:
    """The children that scrub the shards of one store; usually one."""

    def __init__(
        self, path: str, pace: int, progress: Progress | None, engine: Engine | None
    ) -> None:
        self.path, self.pace, self.progress, self.engine = path, pace, progress, engine
        self.findings: list[Finding] = []
        self.sums: list[ShardSum | None] = []
        self.shards = 1

    def run(self) -> None:
        """Scrub all shards; one that ends the child is passed over."""
        while len(self.sums) < self.shards:
            child = Child("shardkv.scrubber", self.path, str(len(self.sums)), str(self.pace))
            for line in child.lines():
                self._hear(line)
            if len(self.sums) < self.shards:
                self._note_end(child)

    def _hear(self, line: dict[str, Any]) -> None:
        if "error" in line:
            raise_told(line["error"])
        if "shards" in line:
            self.shards = line["shards"]
            return
        name = f"shards/{len(self.sums):04}/data.mdb"
        found = ShardSum(*line["sum"])
        self.findings += map(finding_of, line["findings"])
        if line["more"]:
            self.findings.append(Finding(name, 0, 0, f"{line['more']} findings more"))
        self.sums.append(found)
        if self.progress is not None:
            self.progress(len(self.sums), self.shards)

    def _note_end(self, child: Child) -> None:
        if child.code >= 0:
            raise Error(f"the scrubbing process ended: {child.complaint}")
        name = signal.Signals(-child.code).name
        text = f"reading it ended the process with {name}: its pages are damaged beyond reading"
        self.findings.append(Finding(f"shards/{len(self.sums):04}/data.mdb", 0, 0, text))
        self.sums.append(None)
        if self.engine is not None:
            self.engine.forget_guests()


def scrub_log(engine: Engine, pace: int) -> list[Finding]:
    """Verify the records of the log that are durable now, from the oldest that is there."""
    engine, upto, since = engine.reserved(), engine.durable_seqno(), 0
    rest, began, done = threading.Event(), time.monotonic(), 0
    while since < upto:
        try:
            feed = engine.open_feed(since, b"")
            while since < upto:
                block, since = engine.next_changes(feed, BLOCK_BYTES)
                done += BLOCK_BYTES
                if block is None:
                    return []
                if pace:
                    rest.wait(max(0.0, began + done / pace - time.monotonic()))
        except LogGoneError as gone:
            since = gone.seqno
        except CorruptionError as error:
            return [Finding(error.file, error.offset, error.seqno, str(error.args[0]))]
    return []


def differences(
    mine: Sequence[ShardSum | None], others: Sequence[ShardSum | None], peer: str
) -> list[Finding]:
    """Compare the shards of a store and a peer that hold all records up to the same seqno."""
    found = []
    for number, (own, other) in enumerate(zip(mine, others, strict=True)):
        if (
            own is None
            or other is None
            or (own.records, own.digest) == (other.records, other.digest)
        ):
            continue
        text = f"the {own.records} records here and the {other.records} in the peer {peer} are not the same"
        found.append(Finding(f"shards/{number:04}/data.mdb", 0, 0, text))
    return found
