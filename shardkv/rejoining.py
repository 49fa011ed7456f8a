"""Rejoining: a directory that went its own way becomes a peer again; what only it has is exported first."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from shardkv import quarantine, scan
from shardkv._native import NO_SNAPSHOT, Engine
from shardkv.backups import absolute, refuse_inside
from shardkv.changes import BLOCK_BYTES
from shardkv.errors import FencedError, InvalidError, LockedError, LogGoneError
from shardkv.exports import ExportedRecord, write_export
from shardkv.lineage import Lineage, Meeting, meet
from shardkv.options import Options
from shardkv.places import forget
from shardkv.standings import lineage_of, stand

LOOK_S = 2.0


@dataclass(frozen=True)
class Rejoined:
    """What a rejoin did.

    Attributes:
        path: of the directory.
        common_seqno: up to here it holds the same as the primary.
        last_seqno: of the newest record that it had.
        export: the file with what it had beyond common_seqno; None: it had nothing.
        records: in that file.
        complete: whether that is every record; else older ones are there only as far as they still held.
        anew: whether the primary copies everything anew; else it goes on from what is there.
    """

    path: str
    common_seqno: int
    last_seqno: int
    export: str | None
    records: int
    complete: bool
    anew: bool


def rejoin(
    path: str | os.PathLike[str],
    export: str | os.PathLike[str],
    *,
    primary: str | os.PathLike[str],
    partial: bool = False,
) -> Rejoined:
    """Make an old primary, or a peer that has records of its own, ready to be a peer of the primary.

    What it has beyond the records that both share is written to a file first; `read_export` reads it. Nothing is
    merged: look through it, and put what shall stay into the primary. Then the directory is emptied for a copy, or,
    when it has nothing of its own, made a peer that goes on from there. A primary that does not have it as a peer gets
    it with `store.peers.add(path)`.

    Args:
        path: the directory. Nobody may have it open.
        export: the file to make, best on another disk. One that is there already must hold just this.
        primary: the directory of the primary, which may be open.
        partial: go on when the log does not reach back to what both share. Then deletes and values that were replaced
            before the log begins are not in the file, only the newest value of each key that is there.
    Raises: InvalidError (no store, another family, not a primary, the export is something else); FencedError (the
        directory has seen a newer epoch than the primary); LockedError (it is open); LogGoneError (see partial);
        CorruptionError, DiskError, FullError, OSError. Then it holds what it held; calling again goes on.
    Durability: the export before anything is dropped; all of it when this returns.
    """
    if not isinstance(partial, bool):
        raise TypeError(f"partial must be True or False, not {partial!r}")
    name, target, head = absolute(path), absolute(export), absolute(primary)
    if os.path.realpath(name) == os.path.realpath(head):
        raise InvalidError(f"{path} is the primary itself")
    refuse_inside(name, target)
    lineage, seqno = primary_at(head)
    if os.path.isdir(target) or not os.path.isdir(os.path.dirname(target)):
        raise InvalidError(f"{export} cannot be made: it is a directory, or its parent is none")
    # No loops run: nothing is flushed, and the log stays as it is, whatever happens here.
    quarantine.refuse(name)
    engine = opened(name)
    try:
        return Rejoining(name, target, engine).run(lineage.as_peer(head, name), seqno, partial)
    finally:
        engine.stop()
        engine.close()


def opened(path: str) -> Engine:
    """Open the directory. A primary that has it as a peer looks at it from time to time, and lets go of it at once."""
    deadline = time.monotonic() + LOOK_S
    while True:
        try:
            return Engine(path, Options(create=False, following=True))
        except LockedError:
            if time.monotonic() > deadline:
                raise
        threading.Event().wait(0.05)


def primary_at(path: str) -> tuple[Lineage, int]:
    """Return a primary's lineage, and what its newest seqno is at least.

    Raises: InvalidError: it is none; LockedError never.
    """
    one = stand(path)
    if one.lineage is None or one.lineage.role != "primary":
        if one.error is not None and not isinstance(one.error, LockedError):
            raise one.error
        what = f"a peer of {one.lineage.primary}" if one.lineage else "of no family"
        raise InvalidError(f"{path} is no primary, it is {what}")
    least = one.lineage.history[-1].first_seqno - 1
    return one.lineage, least if one.seqno is None else one.seqno


class Rejoining:
    """One directory that is held."""

    def __init__(self, path: str, export: str, engine: Engine) -> None:
        self.path, self.export, self.engine = path, export, engine
        self.last = engine.last_seqno()
        self.known = lineage_of(engine, path)

    def run(self, lineage: Lineage, seqno: int, partial: bool) -> Rejoined:
        """Export, then drop or go on. Args: lineage: that it gets; seqno: what its primary has at least."""
        found = self._meet(lineage, seqno)
        if found.common_seqno >= self.last:
            told = lineage if self._is_new(lineage) else self.known
            self.engine.save_lineage(told.packed())
            return Rejoined(self.path, self.last, self.last, None, 0, complete=True, anew=False)
        since = self._reach(found.common_seqno, partial)
        header = {
            "family": self.known.family,
            "since": found.common_seqno,
            "complete_since": since,
            "upto": self.last,
        }
        older = self._older(found.common_seqno, since) if since > found.common_seqno else ()
        records = write_export(self.export, header, chain(older, self._newer(since)))
        forget(self.path)
        return Rejoined(
            self.path,
            found.common_seqno,
            self.last,
            self.export,
            records,
            complete=since == found.common_seqno,
            anew=True,
        )

    def _is_new(self, lineage: Lineage) -> bool:
        return self.known.role == "primary" or self.known.history != lineage.history

    def _meet(self, lineage: Lineage, seqno: int) -> Meeting:
        found = meet(lineage, seqno, self.known, self.last)
        if found.verdict == "foreign":
            raise InvalidError(f"{self.path} and its primary are not of one family")
        if found.verdict == "newer":
            raise FencedError(
                f"{self.path} has seen epoch {self.known.epoch}, but {lineage.primary} is of epoch {lineage.epoch}: "
                "another directory was promoted since"
            )
        if found.verdict == "ahead" and self.known.role == "peer":
            # Of the primary's newest epoch: it has this too, or takes it over when it is opened.
            return Meeting("follows", self.last)
        return found

    def _reach(self, common: int, partial: bool) -> int:
        """Return the seqno from which on the log has everything."""
        try:
            self.engine.reserved().open_feed(common, b"")
        except LogGoneError as error:
            if not partial:
                raise LogGoneError(
                    f"{self.path} has records from seqno {common + 1} to {self.last} that the primary lacks, but its "
                    f"log begins after {error.seqno}: deletes before that, and values replaced by then, are gone. With "
                    "partial=True the export has the newest value of each key instead; nothing was dropped",
                    seqno=error.seqno,
                ) from None
            return error.seqno
        return common

    def _newer(self, since: int) -> Iterator[ExportedRecord]:
        """Yield what the log holds after a seqno."""
        if since >= self.last:
            return
        feed = self.engine.reserved().open_feed(since, b"")
        while (block := self.engine.next_changes(feed, BLOCK_BYTES)[0]) is not None:
            for seqno, key, value, expires_ms in zip(*[iter(block)] * 4, strict=True):
                yield ExportedRecord(seqno, key, value, expires_ms, value is None)

    def _older(self, common: int, since: int) -> Iterator[ExportedRecord]:
        """Yield what is still there of what was written between two seqnos, in that order."""
        engine = self.engine.reserved()
        rows = scan.rows(engine, NO_SNAPSHOT, (None, None), reverse=False, limit=None, values=False)
        entries = ((key, engine.get_entry(NO_SNAPSHOT, key)) for key in rows)
        ours = sorted((e.version, key) for key, e in entries if e and common < e.version <= since)
        for seqno, key in ours:
            entry = engine.get_entry(NO_SNAPSHOT, key)
            if entry is not None:
                expires_ms = round(entry.expires_at * 1000) if entry.expires_at else 0
                yield ExportedRecord(seqno, key, entry.value, expires_ms, deleted=False)
