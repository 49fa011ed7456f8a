"""Backups: a copy of the store in another directory, made while it is used, and kept up with it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from shardkv import quarantine
from shardkv._native import Copy
from shardkv.errors import InvalidError
from shardkv.opened import Opened
from shardkv.pacing import Pace

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BackupInfo:
    """What a copy holds, and what it took.

    Attributes:
        seqno: it holds every record up to this one, and none after it.
        bytes: written.
        seconds: that it took.
        since: a backup that was there already ended with this seqno and was brought up to date; None: all was copied.
        kept_shards: that an earlier, unfinished attempt had copied.
    """

    seqno: int
    bytes: int
    seconds: float
    since: int | None = None
    kept_shards: int = 0


class Backups(Opened):
    """The backups of a store."""

    def backup(
        self,
        dest: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        max_bytes_per_s: int | None = None,
    ) -> BackupInfo:
        """Copy the store into another directory, or bring the backup there up to date.

        The result is a store of its own. It holds everything that was appended before the call, up to one moment during
        it, and batches whole. Every record's checksum is verified on the way.

        A backup of this store that is at dest already grows by the log alone, as long as the store's log reaches back
        to its end (`retain_log_bytes`) and nobody has opened it for writing. Its shards stay as they are, so `restore`
        can go back to any moment since they were copied.

        Args:
            dest: a directory that is new or empty, or holds an unfinished copy or a backup of this store; its parent
                must exist.
            progress: called between pieces with bytes done and bytes in all. What it raises ends the backup.
            max_bytes_per_s: write no more than this, on average over a second or so. None: as fast as it goes.
        Raises: LogGoneError (the log does not reach back to the end of the backup at dest: make a new one elsewhere);
            InvalidError (dest holds another store, or lies inside this one); FormatError (it holds something else);
            LockedError (somebody is writing it, or has it open); CorruptionError (this store or the backup is damaged,
            or in quarantine); FullError; DiskError; ClosedError. Then a first copy is no store: whole shards stay for
            the next attempt, which goes on with them as long as the log reaches back to them; when none is whole, or
            this store is damaged, all is removed. A backup that was there stays one, with what it had and maybe some of
            what was to come.
        Durability: when this returns, all of it.
        Threads: writers, readers and flushes go on.
        Cost: all of it: reads and writes every shard once, packed, and the log from here on, which is kept until this
            returns. An increment: reads the log of dest, then reads and writes what came since.
        """
        began = time.monotonic()
        engine = self._live()
        name = absolute(dest)
        quarantine.refuse(self.path)
        refuse_inside(self.path, name)
        pace = Pace(max_bytes_per_s)
        engine.wait(engine.last_seqno())
        return finish(Copy.backup_of(engine, name), progress, began, pace)


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the path as the engine wants it.

    Raises: InvalidError."""
    given = os.fsdecode(path)
    if not given:
        raise InvalidError("the path is empty")
    if "\0" in given:
        raise InvalidError("the path holds a NUL character")
    try:
        os.fsencode(given)
    except UnicodeEncodeError as error:
        raise InvalidError(f"the path holds half a character: {error}") from None
    try:
        return os.path.abspath(given)
    except FileNotFoundError:
        raise InvalidError(f"{given} lies in the working directory, which was removed") from None


def refuse_inside(path: str, dest: str) -> None:
    """Raise InvalidError when dest is, or lies in, the directory of a store."""
    inside, outside = os.path.realpath(dest), os.path.realpath(path)
    if os.path.commonpath((inside, outside)) == outside:
        raise InvalidError(f"{dest} lies inside the store {path}; a copy needs a place of its own")


def finish(copy: Copy, progress: Progress | None, began: float, pace: Pace) -> BackupInfo:
    """Make all pieces of a copy."""
    with contextlib.closing(copy):
        while copy.next(pace.piece_bytes):
            if progress is not None:
                progress(copy.done, copy.total)
            pace.rest(copy.bytes)
        seconds = time.monotonic() - began
        return BackupInfo(copy.seqno, copy.bytes, seconds, copy.since, copy.kept_shards)
