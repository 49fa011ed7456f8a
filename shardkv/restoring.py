"""Stores that nobody has open: restored to a new place as they were at some seqno, or backed up."""

from __future__ import annotations

import os
import time

from shardkv import quarantine
from shardkv._native import Copy
from shardkv.backups import BackupInfo, Progress, absolute, finish, refuse_inside
from shardkv.options import check_int
from shardkv.pacing import Pace


def restore(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    until: int | None = None,
    progress: Progress | None = None,
) -> BackupInfo:
    """Copy a backup, or any store that nobody has open, into another directory. The source is not written to.

    Everything is verified on the way. The result is a store of its own.

    Args:
        src: the backup.
        dst: a directory that is new, empty, or holds an unfinished copy; its parent must exist.
        until: a seqno: what was written after it is left out, and what was synced together with that is, too, since
            it may be of one batch. From the newest record that a shard may hold to the last of the log: of a backup,
            from when it was first made to its last increment.
        progress: as for `Store.backup`.
    Returns: BackupInfo; its `seqno` says which record is the last, `until` or one before it.
    Raises: InvalidError (no store at src; a store at dst; until, with the range that can be had); LockedError (either
        is in use); FormatError; CorruptionError (the source is damaged, or in quarantine); FullError; DiskError. Then
        there is no copy.
    Durability: when this returns, all of it.
    """
    began = time.monotonic()
    source, dest = absolute(src), absolute(dst)
    if until is not None:
        check_int("until", until, (1 << 56) - 1, least=0)
    quarantine.refuse(source)
    refuse_inside(source, dest)
    return finish(Copy.from_closed(source, dest, until), progress, began, Pace(None))


def backup_closed(
    src: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    max_bytes_per_s: int | None = None,
) -> BackupInfo:
    """Do what `Store.backup` does for a store that nobody has open, and write nothing to it.

    Raises: as `Store.backup`; InvalidError (no store at src); LockedError (it is open).
    """
    began = time.monotonic()
    source, name = absolute(src), absolute(dest)
    quarantine.refuse(source)
    refuse_inside(source, name)
    pace = Pace(max_bytes_per_s)
    return finish(Copy.backup_of_closed(source, name), progress, began, pace)
