"""A family of directories, and what tests ask of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import shardkv
from shardkv._native import look_at_lineage
from shardkv.lineage import Lineage, unpacked

WAIT_S = 30.0


def contents(path: Path) -> dict[bytes, bytes]:
    """Return all rows of a directory that nobody has open, whatever its role."""
    with shardkv.open(path, readonly=True) as store:
        return dict(store.scan())


def put(path: Path, *keys: str, ack: shardkv.options.Ack = "disk") -> None:
    """Open a primary, put keys, and close it. The value of a key names it."""
    with shardkv.open(path, ack=ack) as store:
        for key in keys:
            store.put(key.encode(), f"{path.name}:{key}".encode())


def family(*paths: Path, keys: int = 3) -> None:
    """Make a store in the first directory with the others as peers; all have the keys k0, k1, and so on."""
    with shardkv.open(paths[0], shards=2, peers=paths[1:], ack="all") as store:
        for i in range(keys):
            store.put(f"k{i}".encode(), b"shared")


def lineage(path: Path) -> Lineage:
    """Return what a directory's manifest says of the family."""
    found = unpacked(look_at_lineage(str(path)) or b"")
    assert found
    return found


def copied(path: Path, name: str) -> Path:
    """Copy a directory that nobody has open."""
    return Path(shutil.copytree(path, path.with_name(name)))


class Away:
    """While in this block a directory is not there, as if its disk was unmounted."""

    def __init__(self, *paths: Path) -> None:
        self._moves = [(path, path.with_name(f"{path.name}.away")) for path in paths]

    def __enter__(self) -> None:
        for path, away in self._moves:
            path.rename(away)
            path.parent.joinpath(path.name).write_text("")  # nothing can be made there

    def __exit__(self, *_: object) -> None:
        for path, away in self._moves:
            os.unlink(path)
            away.rename(path)


def outrun(a: Path, b: Path) -> None:
    """Write to a primary without its peer until the log begins behind the peer's end."""
    with Away(b):
        for key in ("one", "two", "three"):
            put(a, key)
