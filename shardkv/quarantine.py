"""Stores from which records are lost: what is known of the loss, kept in a file beside the rest."""

from __future__ import annotations

import json
import os
from typing import Any

from shardkv._native import Engine
from shardkv.errors import CorruptionError

NAME = "QUARANTINE"


def write(path: str, suspects: list[int], losses: list[dict[str, Any]], more: int) -> None:
    """Put a store in quarantine; durable when this returns.

    Args: suspects: of each shard, what an engine's `suspect` wants to know.
    """
    name = os.path.join(path, NAME)
    told = {"suspects": suspects, "losses": losses, "more": more}
    with open(name + ".new", "w", opener=private) as file:
        json.dump(told, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.rename(name + ".new", name)
    sync_dir(path)


def private(name: str, flags: int) -> int:
    """Open a file that is its owner's alone."""
    return os.open(name, flags | os.O_CLOEXEC, 0o600)


def sync_dir(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def quarantined(path: str) -> bool:
    """Say whether the store in a directory is in quarantine."""
    return os.path.lexists(os.path.join(path, NAME))


def refuse(path: str) -> None:
    """Raise CorruptionError when the store in a directory is in quarantine."""
    if quarantined(path):
        raise CorruptionError(
            f"records of {path} are lost in all of its copies, and are listed here; open it with quarantined=True to "
            "read what is left, or remove this file to take what is left for all there is",
            file=NAME,
        )


def warn(path: str, engine: Engine) -> None:
    """Tell an engine which of its shards have lost records.

    Raises: CorruptionError (the file cannot be read).
    """
    if not quarantined(path):
        return
    try:
        with open(os.path.join(path, NAME), encoding="utf-8") as file:
            suspects = [int(seqno) for seqno in json.load(file)["suspects"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptionError(f"it cannot be read: {error}", file=NAME) from error
    for shard, below_seqno in enumerate(suspects):
        engine.suspect(shard, below_seqno)
