"""Scrubbing: everything in a store is read and verified while it is used."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from shardkv._native import ShardSum
from shardkv.backups import Progress, absolute
from shardkv.checks import Finding
from shardkv.opened import Opened
from shardkv.options import check_int
from shardkv.passes import Pass, ShardScrub, Tally
from shardkv.stopping import Stop

FASTEST = 1 << 46


@dataclass(frozen=True)
class ScrubReport:
    """What a scrub found.

    Attributes:
        findings: at most a hundred of each shard.
        bytes: that were read, of keys and values.
        seconds: that it took.
        shards: what each shard of the store itself was found to hold; None: it could not be read.
        compared: directories of the peers whose shards were held against the store's at one seqno, digest and count.
        not_compared: directories of the other peers, and why they were not.
    """

    findings: tuple[Finding, ...]
    bytes: int
    seconds: float
    shards: tuple[ShardSum | None, ...]
    compared: tuple[str, ...] = ()
    not_compared: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with what could be read and compared."""
        return not self.findings


class Scrubbing(Opened):
    """The scrubs of a store."""

    def scrub(
        self, *, bytes_per_s: int | None = None, progress: Progress | None = None
    ) -> ScrubReport:
        """Read and verify every record in the shards and in the log, beside reads and writes; in the peers, too.

        Then each shard's count and digest is held against those of the peers, at one seqno, while writers go on. A peer
        that is away, or too far behind, is not compared, and the report says so.

        Args:
            bytes_per_s: how many bytes of keys and values per second, at most; None: as fast as can be.
            progress: called after each shard with shards done and shards in all. What it raises ends the scrub.
        Returns: a ScrubReport; what is damaged is a finding, not an exception. `shardkv.check` mends it.
        Raises: ClosedError, DiskError.
        Threads: writers and readers go on. A shard that is read is held as by a snapshot, for half a minute at most:
            its file may grow meanwhile.
        Cost: reads everything once; the shards in a process of its own, which a damaged page may end: a finding, too.
            With peers: also two flushes of each.
        """
        pace = 0 if bytes_per_s is None else check_pace(bytes_per_s)
        began = time.monotonic()
        work = Pass(self.path, self._live(), self._shared.peers, Stop())
        work.run(pace, progress)
        return ScrubReport(
            tuple(work.findings),
            work.tally.bytes,
            time.monotonic() - began,
            tuple(work.sums),
            tuple(work.compared),
            work.not_compared,
        )


def check_pace(bytes_per_s: int) -> int:
    """Return it, or raise unless it is a number of bytes per second."""
    check_int("bytes_per_s", bytes_per_s, FASTEST)
    return bytes_per_s


def scrub_shards(path: str | os.PathLike[str], *, bytes_per_s: int = 0) -> ScrubReport:
    """Verify the shards of a store, whoever has it open.

    Raises: InvalidError (there is no store), CorruptionError, FormatError (its manifest), DiskError.
    """
    began = time.monotonic()
    findings: list[Finding] = []
    work = ShardScrub(absolute(path), None, bytes_per_s, Tally(), Stop())
    work.run(findings.append)
    seconds = time.monotonic() - began
    return ScrubReport(tuple(findings), work.tally.bytes, seconds, tuple(work.sums))
