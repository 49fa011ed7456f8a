"""Repairing a store: what is damaged is taken from copies that prove it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shardkv import quarantine
from shardkv._native import look_at_lineage
from shardkv.backups import Progress
from shardkv.checks import Finding, finding_of
from shardkv.children import Child, raise_told
from shardkv.errors import CorruptionError, Error, InvalidError
from shardkv.lineage import TERM, Lineage, meet, unpacked
from shardkv.mending import BESIDE
from shardkv.places import holds_store

EVERYTHING = (1 << 56) - 1


@dataclass(frozen=True)
class Repair:
    """What a repair did.

    Attributes:
        kept: where the damaged directory is now, as it was.
        seqno: the repaired store holds every record up to this one.
        lost: what no copy could prove; at most a thousand.
        lost_count: how many there are. Not 0: the store is in quarantine.
    """

    kept: str
    seqno: int
    lost: tuple[Finding, ...]
    lost_count: int


def repair(path: str, peers: Sequence[str], progress: Progress | None) -> Repair:
    """Make the store at `path` sound, of what is left of it and of its copies.

    Raises: as check with repair=True.
    """
    for name in (path, *peers):
        if quarantine.quarantined(name):
            raise InvalidError(
                f"{name} is in quarantine: what it lacks cannot be told from what was never there; repair the damaged "
                "directory that it was made of, with more copies"
            )
    child = Child("shardkv.mending", json.dumps(believed(path, peers)))
    done: Repair | None = None
    for line in child.lines():
        if "error" in line:
            raise_told(line["error"])
        if "kept" in line:
            done = done_of(line)
        elif progress is not None:
            progress(line["done"], line["total"])
    if done is None:
        raise Error(f"the repairing process ended ({child.code}): {child.complaint}")
    return done


def done_of(line: dict[str, Any]) -> Repair:
    """Return what the child told at its end."""
    lost = tuple(map(finding_of, line["losses"]))
    return Repair(line["kept"], line["seqno"], lost, line["count"])


def finish_exchange(path: str) -> None:
    """Bring a repair to its end that was killed between two renames, when the damaged store was aside already."""
    beside = path + BESIDE
    if not os.path.lexists(path) and holds_store(beside):
        os.rename(beside, path)
        quarantine.sync_dir(os.path.dirname(path))


# -- which copies are believed, and how far


def believed(path: str, peers: Sequence[str]) -> list[tuple[str, int]]:
    """Return the store and its copies, each with the seqno up to which its records are those of the store.

    Where neither has a lineage the caller vouches for it. A backup has none, whatever it is of.

    Raises: InvalidError (of another family, the same directory twice), FormatError.
    """
    own = lineage_of(path)
    refuse_twice(path, peers)
    if own is not None:
        return [(path, EVERYTHING), *((peer, agreed(own, peer)) for peer in peers)]
    known = [found for found in map(lineage_of, peers) if found]
    if not known:
        return [(name, EVERYTHING) for name in (path, *peers)]
    best = max(known, key=lambda lineage: lineage.epoch)
    return [(path, unpromoted(best)), *((peer, agreed(best, peer)) for peer in peers)]


def lineage_of(path: str) -> Lineage | None:
    """Return what a directory's manifest says of its family; None: nothing, or it is lost."""
    try:
        return unpacked(look_at_lineage(path) or b"")
    except CorruptionError:
        return None


def refuse_twice(path: str, peers: Sequence[str]) -> None:
    """Raise InvalidError when two names are of one directory: it would prove itself."""
    seen = {os.path.realpath(path)}
    for peer in peers:
        if os.path.realpath(peer) in seen:
            raise InvalidError(f"{peer} is named twice, or is the store itself")
        seen.add(os.path.realpath(peer))


def agreed(own: Lineage, peer: str) -> int:
    """Return the newest seqno up to which a copy has the same history."""
    theirs = lineage_of(peer)
    if theirs is None:
        return EVERYTHING
    met = meet(own, EVERYTHING, theirs, EVERYTHING)
    if met.verdict == "foreign":
        raise InvalidError(f"{peer} is of another family: it is no copy of this store")
    return met.common_seqno


def unpromoted(best: Lineage) -> int:
    """Return how far a store without a lineage is believed beside a copy that has one: up to its newest promotion."""
    term = best.epoch // TERM
    if not term:
        return EVERYTHING
    first = next(epoch for epoch in best.history if epoch.number // TERM == term)
    forgotten = first == best.history[0] and first.number % TERM
    return 0 if forgotten else first.first_seqno - 1
