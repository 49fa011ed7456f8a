"""Backups: a copy of the store in another directory, made while it is used."""

from __future__ import annotations

import contextlib
import os
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from shardkv._native import Copy, Engine
from shardkv.errors import InvalidError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BackupInfo:
    """What a copy holds, and what it took.

    Attributes:
        seqno: it holds every record up to this one, and none after it.
        bytes: written.
        seconds: that it took.
    """

    seqno: int
    bytes: int
    seconds: float


class Backups:
    """The backups of a store."""

    path: str

    @abstractmethod
    def _live(self) -> Engine: ...

    def backup(
        self, dest: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> BackupInfo:
        """Copy the store into another directory, where it is a store of its own.

        It holds everything that was appended before the call, up to one moment during it, and batches whole. Every
        record's checksum is verified on the way.

        Args:
            dest: a directory that is new, empty, or holds an unfinished copy; its parent must exist.
            progress: called between pieces with bytes done and bytes in all, of the original. What it raises ends the
                backup and removes what was copied.
        Raises: InvalidError (dest holds a store, or lies inside this one); FormatError (it holds something else);
            LockedError (another backup is writing it); CorruptionError (this store is damaged); FullError; DiskError;
            ClosedError. Then there is no copy.
        Durability: when this returns, all of it.
        Threads: writers and readers go on; a shard whose map must grow waits until it is copied, and so does close.
        Cost: reads every shard twice, writes it once, packed; the log is kept from here on until this returns.
        """
        began = time.monotonic()
        engine = self._live()
        name = absolute(dest)
        refuse_inside(self.path, name)
        engine.wait(engine.last_seqno())
        return finish(Copy.of(engine, name), progress, began)


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the path as the engine wants it.

    Raises: InvalidError."""
    name = os.path.abspath(os.fsdecode(path))
    if "\0" in name:
        raise InvalidError("the path holds a NUL character")
    return name


def refuse_inside(path: str, dest: str) -> None:
    """Raise InvalidError when dest lies in the directory of a store."""
    inside, outside = os.path.realpath(dest), os.path.realpath(path)
    if inside != outside and os.path.commonpath((inside, outside)) == outside:
        raise InvalidError(f"{dest} lies inside the store {path}; a copy needs a place of its own")


def finish(copy: Copy, progress: Progress | None, began: float) -> BackupInfo:
    """Make all pieces of a copy; whatever ends it early removes it."""
    with contextlib.closing(copy):
        while copy.next():
            if progress is not None:
                progress(copy.done, copy.total)
        return BackupInfo(copy.seqno, copy.bytes, time.monotonic() - began)
