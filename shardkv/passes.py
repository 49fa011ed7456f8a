"""A pass of a scrub: everything in a store and in its peers is read once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from shardkv._native import Engine, ShardSum
from shardkv.backups import Progress
from shardkv.checks import Finding, finding_of
from shardkv.children import Child, raise_told, told
from shardkv.comparing import Apart, compare
from shardkv.errors import CorruptionError, Error, LogGoneError
from shardkv.pacing import Pace
from shardkv.peers import Peers
from shardkv.stats import PeerStatus
from shardkv.stopping import Stop

BLOCK_BYTES = 1 << 20
FINDINGS_MAX = 100
# What a page that leads nowhere ends a process with. Other signals somebody sent.
FAULTS = (signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class Tally:
    """What was read so far.

    Attributes:
        bytes: of keys and values.
        records: how many.
    """

    def __init__(self) -> None:
        self.bytes = self.records = 0

    def add(self, bytes_read: int, records: int) -> None:
        """Count what was read."""
        self.bytes += bytes_read
        self.records += records


class ShardScrub:
    """The children that scrub the shards of one store; usually one.

    Attributes:
        sums: of the shards so far; None: reading it ended the child.
    """

    def __init__(
        self, path: str, engine: Engine | None, pace: int, tally: Tally, stop: Stop
    ) -> None:
        self.path, self.engine, self.pace = path, engine, pace
        self.tally, self.stop = tally, stop
        self.sums: list[ShardSum | None] = []
        self.shards = 1
        self._count = 0  # of findings in this shard

    def run(self, find: Callable[[Finding], None], progress: Progress | None = None) -> None:
        """Scrub all shards; one that ends the child is passed over."""
        self._find, self._progress = find, progress
        while len(self.sums) < self.shards:
            child = Child("shardkv.scrubber", self.path, *map(str, self._arguments()))
            self.stop.watch(child)
            try:
                with contextlib.closing(child.lines()) as lines:
                    for line in lines:
                        self._hear(line)
            finally:
                self._let_go()
            self.stop.check()
            if len(self.sums) < self.shards:
                self._note_end(child)

    def _arguments(self) -> tuple[int, ...]:
        return len(self.sums), self.pace, os.getpid()

    @property
    def _file(self) -> str:
        return f"shards/{len(self.sums):04}/data.mdb"

    def _hear(self, line: dict[str, Any]) -> None:
        if "error" in line:
            raise_told(line["error"])
        elif "shards" in line:
            self.shards = line["shards"]
        elif "sum" in line:
            self._end_shard(ShardSum(*line["sum"]))
        else:
            self.tally.add(line["bytes"], line["records"])
            for finding in line["findings"][: max(0, FINDINGS_MAX - self._count)]:
                self._find(finding_of(finding))
            self._count += len(line["findings"]) + line["more"]

    def _let_go(self) -> None:
        """What a child held that was ended is not kept for it any more."""
        if self.engine is not None:
            with contextlib.suppress(Error):  # its store may be closed by now
                self.engine.forget_guests()

    def _end_shard(self, found: ShardSum | None) -> None:
        if self._count > FINDINGS_MAX:
            text = f"{self._count - FINDINGS_MAX} findings more"
            self._find(Finding(self._file, 0, 0, text))
        self._count = 0
        self.sums.append(found)
        if found is not None and self._progress is not None:
            self._progress(len(self.sums), self.shards)

    def _note_end(self, child: Child) -> None:
        if -child.code not in FAULTS:
            raise Error(f"the scrubbing process ended with {child.code}: {child.complaint}")
        name = signal.Signals(-child.code).name
        text = f"reading it ended the process with {name}: its pages are damaged beyond reading"
        self._find(Finding(self._file, 0, 0, text))
        self._end_shard(None)


def scrub_log(engine: Engine, pace: Pace, tally: Tally, stop: Stop) -> None:
    """Verify the records of the log that are durable now, from the oldest that is there.

    Raises: CorruptionError, at the first that is damaged; ClosedError.
    """
    engine, upto, since, done = engine.reserved(), engine.durable_seqno(), 0, 0
    while since < upto:
        try:
            feed = engine.open_feed(since, b"")
            while since < upto:
                block, since = engine.next_changes(feed, pace.piece_bytes or BLOCK_BYTES)
                found = block or []
                read = sum(map(len, found[1::4])) + sum(len(value or b"") for value in found[2::4])
                tally.add(read, len(found) // 4)
                done += read
                pace.rest(done)
                stop.check()
        except LogGoneError as gone:
            since = gone.seqno


class Pass:
    """One pass over a store and its peers.

    Attributes:
        tally: what was read so far.
        findings: what is wrong, so far.
        sums: of the store's own shards.
        compared: the peers that were held against the store at one seqno.
        not_compared: peers that could not be, and why.
    """

    def __init__(
        self,
        path: str,
        engine: Engine,
        peers: Peers,
        stop: Stop,
        heard: Callable[[Finding], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self.findings: list[Finding] = []
        self.sums: list[ShardSum | None] = []
        self.compared: list[str] = []
        self.not_compared: dict[str, str] = {}
        self._path, self._engine, self._peers, self._stop = path, engine, peers, stop
        self._heard = heard

    def run(self, bytes_per_s: int = 0, progress: Progress | None = None) -> None:
        """Read the store, then each peer, and compare it.

        Args: bytes_per_s: at most; 0: as fast as can be. progress: after each of the store's own shards.
        Raises: ClosedError, also when it was stopped; Error, OSError: it could not be read to the end.
        """
        self.sums = self._read(self._engine, self._path, "", bytes_per_s, progress)
        for status in self._peers.status():
            self._look_at(status, bytes_per_s)

    def _look_at(self, status: PeerStatus, bytes_per_s: int) -> None:
        path, peer = status.path, self._peers.engine_of(status.path)
        if peer is None:
            self.not_compared[path] = (
                f"{status.state}: {status.why}" if status.why else status.state
            )
            return
        try:
            self._read(peer, path, path, bytes_per_s, None)
            self._compare(peer, path)
        except (Apart, Error) as error:
            self._stop.check()
            self.not_compared[path] = str(error)
        else:
            self.compared.append(path)

    def _read(
        self, engine: Engine, path: str, peer: str, pace: int, progress: Progress | None
    ) -> list[ShardSum | None]:
        def find(what: Finding) -> None:
            # A peer that was let go, or is copied anew, is nobody's copy any more.
            if not peer or self._peers.engine_of(peer) is engine:
                self._find(replace(what, peer=peer))

        work = ShardScrub(path, engine, pace, self.tally, self._stop)
        rest = Pace(pace or None, wait=self._stop.sleep)
        for read in (
            partial(scrub_log, engine, rest, self.tally, self._stop),
            partial(work.run, find, progress),
        ):
            try:
                read()
            except CorruptionError as error:
                find(finding_of(told(error)))
        return work.sums

    def _compare(self, peer: Engine, path: str) -> None:
        for number, (own, other) in enumerate(compare(self._engine, peer, self._stop)):
            if own != other:
                text = f"its {other[1]} records are not the same as the {own[1]} of the store"
                self._find(Finding(f"shards/{number:04}/data.mdb", 0, 0, text, path))

    def _find(self, what: Finding) -> None:
        self.findings.append(what)
        if self._heard is not None:
            self._heard(what)
