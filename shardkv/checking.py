"""Checking a store: everything it consists of is read, and held against what proves it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shardkv import errors
from shardkv.backups import absolute

Progress = Callable[[int, int], None]
FIRST_SHARD = 2


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: relative to the store's directory.
        offset: byte offset in it; 0 when it is the file as a whole.
        seqno: of the record concerned; 0 when none is.
        text: what is wrong, and what it means.
    """

    file: str
    offset: int
    seqno: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file} at byte {self.offset}" if self.offset else self.file
        return f"{place}: {self.text}" if place else self.text


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: of the store.
        findings: at most a hundred of each part.
        parts: that were read: manifest, log, each shard, and how they fit together.
        seconds: that it took.
    """

    path: str
    findings: tuple[Finding, ...]
    parts: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check(
    path: str | os.PathLike[str], *, pages: bool = True, progress: Progress | None = None
) -> CheckReport:
    """Check a store that nobody has open. Nothing is written to it.

    Manifest and side file, every frame and record of the log, retained segments too, and of every shard each record's
    checksum, order and place, count and digest, and the structure of its pages.

    Args:
        path: the store's directory.
        pages: also run the offline verifier of the lmdb package, which is slow: some MB/s.
        progress: called after each part with parts done and parts in all. What it raises ends the check.
    Returns: a CheckReport; what is damaged is a finding, not an exception.
    Raises: InvalidError (there is no store), LockedError (it is open), FormatError (of another version, or an
        unfinished copy), DiskError.
    Cost: reads everything once, in a process of its own, which a damaged page may end: that is a finding, too.
    """
    began = time.monotonic()
    run = Inspection(absolute(path), pages, progress)
    while run.first < run.parts:
        run.go_on()
    return CheckReport(run.path, tuple(run.findings), run.parts, time.monotonic() - began)


class Inspection:
    """The children that check one store; usually one."""

    def __init__(self, path: str, pages: bool, progress: Progress | None) -> None:
        self.path, self.pages, self.progress = path, pages, progress
        self.findings: list[Finding] = []
        self.first, self.parts = 0, 1
        self.unreadable = False

    def go_on(self) -> None:
        """Check the parts that are left, up to one that ends the child."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        pages = "pages" if self.pages else "records"
        command = [sys.executable, "-m", "shardkv.inspection", self.path, str(self.first), pages]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as child:
            try:
                assert child.stdout
                for line in child.stdout:
                    self._hear(json.loads(line))
                complaint = child.stderr.read() if child.stderr else b""
            finally:
                child.kill()
        if self.first < self.parts:
            self._note_end(child.returncode, complaint)

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
        kind = told.pop("kind")
        if kind == "CorruptionError":
            self.findings.append(finding_of(told))
            self.first = self.parts
        else:
            raise getattr(errors, kind)(told.pop("text"), **told)

    def _name(self, part: int) -> str:
        if FIRST_SHARD <= part < self.parts - 1:
            return f"shards/{part - FIRST_SHARD:04}/data.mdb"
        return {0: "MANIFEST", 1: "log"}.get(part, "shards")

    def _note_end(self, code: int, complaint: bytes) -> None:
        if code >= 0:
            raise errors.Error(f"the checking process ended: {complaint.decode(errors='replace')}")
        name = signal.Signals(-code).name
        text = f"reading it ended the process with {name}: its pages are damaged beyond reading"
        self.findings.append(Finding(self._name(self.first), 0, 0, text))
        self.first += 1
        self.unreadable = True


def finding_of(told: dict[str, Any]) -> Finding:
    """Return what a child told as a finding."""
    return Finding(told["file"], told["offset"], told["seqno"], told["text"])
