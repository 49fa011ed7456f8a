"""Directories of a family: what may be a peer, and what to do when the primary is not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from shardkv._native import look_at_lineage
from shardkv.backups import absolute, refuse_inside
from shardkv.errors import CorruptionError, DiskError, Error, FencedError, InvalidError
from shardkv.exports import sync_file
from shardkv.lineage import Lineage, Meeting, meet, unpacked

UNFINISHED = {"LOCK", "COPYING", "ORIGIN", "log", "shards"}


def holds_store(path: str) -> bool:
    """Say whether a directory holds a store, whole or damaged; an unfinished copy is none."""
    return any(os.path.lexists(os.path.join(path, name)) for name in ("MANIFEST", "MANIFEST.bak"))


def forget(path: str) -> None:
    """Make of a store an unfinished copy: the next one begins anew. Durable when this returns."""
    with open(os.path.join(path, "COPYING"), "wb"):  # empty: nothing of it may be gone on with
        pass
    sync_file(path)  # before the manifests go: without both it would be nobody's
    for name in ("MANIFEST.new", "MANIFEST.bak", "MANIFEST"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, name))
    sync_file(path)


def refuse_place(path: str, peer: str, lineage: Lineage | None) -> None:
    """Raise when a directory cannot become a peer of the store at `path`.

    Raises: InvalidError, FencedError.
    """
    inside, outside = os.path.realpath(peer), os.path.realpath(path)
    if inside == outside:
        raise InvalidError(f"{peer} is the store's own directory")
    refuse_inside(path, peer)
    refuse_inside(peer, path)
    if not os.path.isdir(os.path.dirname(inside)):
        raise InvalidError(f"{peer} cannot be made: its parent does not exist")
    if not holds_store(peer):
        if os.path.exists(peer) and not (
            os.path.isdir(peer) and UNFINISHED.issuperset(os.listdir(peer))
        ):
            raise InvalidError(f"{peer} is neither an empty directory nor a peer of this store")
        return
    blob = look_at_lineage(peer)
    known = unpacked(blob) if blob else None
    if lineage is None or known is None or known.family != lineage.family:
        raise InvalidError(f"{peer} holds another store, which is no peer of this one")
    if known.role == "primary":
        raise FencedError(
            f"{peer} is a primary of epoch {known.epoch}: shardkv.rejoin makes it a peer"
        )
    if meet(lineage, 0, known, 0).verdict == "newer":
        raise FencedError(
            f"{peer} has seen epoch {known.epoch}, {path} is of epoch {lineage.epoch}: another directory was promoted"
        )


def refuse_new_beside(path: str, asked: Sequence[str]) -> None:
    """Raise FencedError when a store shall be made at `path`, but its peers hold one."""
    if holds_store(path):
        return
    for name in map(absolute, asked):
        if holds_store(name):
            raise FencedError(
                f"{path} holds no store, but its peer {name} does: if the primary is lost, "
                f"shardkv.promote({name!r}) makes a peer the primary; nothing was made"
            )


def guide(error: CorruptionError | DiskError, path: str, asked: Sequence[str] | None) -> Error:
    """Add to an error of opening what a peer can do about it. Args: asked: the peers that the caller named."""
    members: Sequence[str] = asked or ()
    with contextlib.suppress(Error):
        lineage = unpacked(look_at_lineage(path) or b"")
        members = lineage.members if lineage and lineage.role == "primary" else members
    if members:
        error.args = (
            f"{error.args[0]}; a peer may have a good copy: shardkv.check({path!r}, repair=True) mends from "
            f"{', '.join(members)}, shardkv.promote makes one of them the primary",
        )
    return error


def refuse_strayed(path: str, found: Meeting, peer: Lineage, seqno: int) -> None:
    """Raise FencedError when what a directory holds is no part of what the primary holds.

    Args: found: how they met; peer, seqno: the directory's lineage and newest seqno.
    """
    if found.verdict == "newer":
        raise FencedError(
            f"{path} has seen epoch {peer.epoch}, which this store has not: another directory was promoted"
        )
    if peer.role == "primary":
        raise FencedError(
            f"{path} is a primary, too: make it a peer with shardkv.rejoin, which keeps what only it has"
        )
    if found.verdict != "follows":
        raise FencedError(
            f"{path} has records from seqno {found.common_seqno + 1} to {seqno} that this store never had: "
            "shardkv.rejoin exports them, then makes it a peer again"
        )
