"""Checking a store: everything it consists of is read, and held against what proves it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shardkv import quarantine
from shardkv.backups import Progress, absolute
from shardkv.checks import Finding, finding_of
from shardkv.children import Child, raise_told
from shardkv.errors import Error, InvalidError
from shardkv.repairing import Repair, finish_exchange, lineage_of, repair

FIRST_SHARD = 2


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: of the store.
        findings: at most a hundred of each part.
        parts: that were read: manifest, log, each shard, and how they fit together.
        seconds: that it took.
        repaired: what a repair did; None: none was asked for, or nothing was wrong.
    """

    path: str
    findings: tuple[Finding, ...]
    parts: int
    seconds: float
    repaired: Repair | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, by now: a repair that lost nothing made it right."""
        if self.repaired is not None:
            return not self.repaired.lost_count
        return not self.findings


def check(
    path: str | os.PathLike[str],
    *,
    peers: Sequence[str | os.PathLike[str]] = (),
    repair: bool = False,
    pages: bool = True,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a store that nobody has open; repair it if asked to, else nothing is written.

    Manifest and side file, every frame and record of the log, retained segments too, and of every shard each record's
    checksum, order and place, count and digest, and the structure of its pages.

    A repair, when anything is wrong, makes a new store beside the damaged one, of every record that is sound in any
    copy, and proves it by the digests that the copies keep; then they change places, and the damaged one stays aside.
    What the copies together cannot prove is listed, and the store is in quarantine: it opens only with
    `quarantined=True`.

    Args:
        path: the store's directory.
        peers: copies to repair from: peers of the store, backups, damaged ones too; nobody may have them open. A store
            that knows its peers need not be told them.
        repair: make it sound. The log that was retained is not kept.
        pages: also run the offline verifier of the lmdb package, which is slow: some MB/s.
        progress: called after each part with parts done and parts in all, then again for a repair. What it raises ends
            the check, and leaves the store as it was.
    Returns: a CheckReport; what is damaged is a finding, not an exception.
    Raises: InvalidError (there is no store; a peer is no copy of it; quarantine), LockedError (it, or a peer, is open),
        FormatError (of another version, or an unfinished copy), FullError, DiskError, CorruptionError (no copy tells
        how keys are laid out).
    Cost: reads everything once, in a process of its own, which a damaged page may end: that is a finding, too. A
        repair reads every copy twice, and writes a store.
    """
    began = time.monotonic()
    name = absolute(path)
    if repair:
        finish_exchange(name)
    found, parts = inspect(name, pages, progress, lenient=repair)
    done = mend(name, [absolute(peer) for peer in peers], progress) if repair and found else None
    return CheckReport(name, tuple(found), parts, time.monotonic() - began, done)


def mend(path: str, peers: Sequence[str], progress: Progress | None) -> Repair:
    """Repair a store from the copies that are named, or that it knows."""
    lineage = None if peers else lineage_of(path)
    known = [name for name in lineage.members if os.path.isdir(name)] if lineage else []
    return repair(path, peers or known, progress)


def inspect(
    path: str, pages: bool, progress: Progress | None, *, lenient: bool = False
) -> tuple[list[Finding], int]:
    """Return what is wrong with a store, and its number of parts.

    Args: lenient: a store without a manifest is one, too.
    """
    run = Inspection(path, pages, progress)
    if quarantine.quarantined(path):
        text = "records of the store are lost in all of its copies; they are listed here"
        run.findings.append(Finding(quarantine.NAME, 0, 0, text))
    try:
        while run.first < run.parts:
            run.go_on()
    except InvalidError:
        if not (lenient and os.path.isdir(os.path.join(path, "shards"))):
            raise
        run.findings.append(
            Finding("MANIFEST", 0, 0, "the manifest is missing, and so is its copy")
        )
    return run.findings, run.parts


class Inspection:
    """The children that check one store; usually one."""

    def __init__(self, path: str, pages: bool, progress: Progress | None) -> None:
        self.path, self.pages, self.progress = path, pages, progress
        self.findings: list[Finding] = []
        self.first, self.parts = 0, 1
        self.unreadable = False

    def go_on(self) -> None:
        """Check the parts that are left, up to one that ends the child."""
        pages = "pages" if self.pages else "records"
        child = Child("shardkv.inspection", self.path, str(self.first), pages)
        for line in child.lines():
            self._hear(line)
        if self.first < self.parts:
            self._note_end(child.code, child.complaint)

    def _hear(self, line: dict[str, Any]) -> None:
        if "error" in line:
            self._refuse(line["error"])
        elif "parts" in line:
            self.parts = line["parts"]
            if self.unreadable and self.first == self.parts - 1:
                self.first = self.parts  # how they fit together cannot be seen
        elif "end" in line:
            self.findings += [finding_of(told) for told in line["findings"]]
            if line["more"]:
                self.findings.append(
                    Finding(self._name(line["end"]), 0, 0, f"{line['more']} findings more")
                )
            self.first = line["end"] + 1
            if self.progress is not None:
                self.progress(self.first, self.parts)

    def _refuse(self, told: dict[str, Any]) -> None:
        if told["kind"] != "CorruptionError":
            raise_told(told)
        self.findings.append(finding_of(told))
        self.first = self.parts

    def _name(self, part: int) -> str:
        if FIRST_SHARD <= part < self.parts - 1:
            return f"shards/{part - FIRST_SHARD:04}/data.mdb"
        return {0: "MANIFEST", 1: "log"}.get(part, "shards")

    def _note_end(self, code: int, complaint: str) -> None:
        if code >= 0:
            raise Error(f"the checking process ended: {complaint}")
        name = signal.Signals(-code).name
        text = f"reading it ended the process with {name}: its pages are damaged beyond reading"
        self.findings.append(Finding(self._name(self.first), 0, 0, text))
        self.first += 1
        self.unreadable = True
