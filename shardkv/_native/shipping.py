"""Peers of an open store: their places, acks, and the shipping of the log."""

from __future__ import annotations

import os
import time
from typing import Any, Final, NamedTuple

from shardkv._core import ffi, lib
from shardkv._native.codes import AGAIN, NOT_FOUND, QUORUM, SLICE_MS, error_from
from shardkv._native.crossing import Workspace, owned
from shardkv._native.handle import Handle
from shardkv._native.lmdb import find_lmdb_module, load_lmdb

PEERS_MAX: Final[int] = lib.SKV_PEERS_MAX
DOWN: Final[int] = lib.SKV_PEER_DOWN
COPYING: Final[int] = lib.SKV_PEER_COPYING
CURRENT: Final[int] = lib.SKV_PEER_CURRENT
STATES: Final[dict[int, str]] = {
    DOWN: "failed",
    COPYING: "copying",
    lib.SKV_PEER_BEHIND: "behind",
    CURRENT: "current",
}


class PeerCounters(NamedTuple):
    """What the engine knows of a peer; current_s: by time.monotonic(), 0.0: it never had everything."""

    state: int
    seqno: int
    shipped_bytes: int
    syncs: int
    current_s: float


class Shipping(Handle):
    """The half of an engine that is for peers."""

    def reach(self, seqno: int, level: int, timeout: float) -> None:
        """Wait until what was appended has reached the level beyond memory that it was appended for.

        Raises: PoisonedError; AckError: after `timeout` seconds, or as soon as it is sure, the level is not reached.
        """
        self.wait(seqno)
        if level >= QUORUM:
            ws = self.take()
            self._wait_ack(ws, seqno, level, timeout)
            self.give(ws)

    def _wait_ack(self, ws: Workspace, seqno: int, level: int, timeout: float) -> None:
        deadline = time.monotonic() + max(timeout, SLICE_MS / 1000)
        code = AGAIN
        while code == AGAIN and (left := deadline - time.monotonic()) > 0:
            slice_ms = min(SLICE_MS, int(left * 1000) + 1)
            code = lib.skv_wait_ack(self.handle, seqno, level, slice_ms, ws.c)
        if code == AGAIN:
            ws.c.error.code = lib.SKV_ACK  # the text says who is missing
        if code != 0:
            raise error_from(ws.c.error)

    def reached(self, level: int) -> int:
        """Return the newest seqno that has reached the level."""
        durable = self.durable_seqno()
        return (
            durable
            if level < QUORUM
            else min(durable, int(lib.skv_ack_reached(self.handle, level)))
        )

    def lineage(self) -> bytes:
        """Return what the manifest keeps of the family; b"" when there is none."""
        ws = self.take()
        if lib.skv_lineage_read(self.handle, ws.c) < 0:
            raise error_from(ws.c.error)
        blob = ws.data()
        self.give(ws)
        return blob

    def save_lineage(self, blob: bytes) -> None:
        """Store it. Raises: InvalidError (too long), FullError, DiskError, ClosedError, ReadOnlyError."""
        self.ask(lib.skv_lineage_save, self.handle, blob, len(blob))

    def add_peer(self, name: str) -> int:
        """Count a peer from now on; return its place. Raises: FullError, InvalidError, ClosedError."""
        return self.ask(lib.skv_peer_add, self.handle, os.fsencode(name))

    def remove_peer(self, place: int) -> None:
        """Count it no more, whoever may still ship to it."""
        lib.skv_peer_remove(self.handle, place)

    def release_peer(self, place: int) -> None:
        """Say that nobody ships to it any more: its place may be another one's, once it is removed."""
        lib.skv_peer_release(self.handle, place)

    def set_peer(self, place: int, state: int, seqno: int) -> None:
        """Say that a peer is DOWN or COPYING, and what is durable in it."""
        lib.skv_peer_set(self.handle, place, state, seqno)

    def peer(self, place: int) -> PeerCounters:
        """Return what is known of a peer."""
        c = ffi.new("skv_peer_stats *")
        lib.skv_peer_stats_read(self.handle, place, c)
        return PeerCounters(c.state, c.seqno, c.shipped_bytes, c.syncs, c.current_ns / 1e9)

    def ship_back(self, peer: Handle) -> None:
        """Take over what a peer has beyond the newest record here; before anybody writes."""
        self.ask(lib.skv_ship_back, self.handle, peer.handle)


class Ship:
    """The shipping to one peer, which was opened as following. Made before the peer's copy lets go of the log."""

    def __init__(self, engine: Handle, place: int, peer: Handle) -> None:
        self._ws = Workspace()
        pointer = lib.skv_ship_open(engine.handle, place, peer.handle, self._ws.c)
        if pointer == ffi.NULL:
            raise error_from(self._ws.c.error)
        self._pointer = owned(pointer, lib.skv_ship_free, engine.handle, peer.handle)

    def run(self) -> None:
        """Ship until something ends it. Raises: what ended it, ClosedError when either was stopped."""
        lib.skv_ship_run(self._pointer, self._ws.c)
        raise error_from(self._ws.c.error)

    def stop(self) -> None:
        """Let `run` end. Any thread."""
        lib.skv_ship_stop(self._pointer)

    def close(self) -> None:
        """Let go of the log."""
        ffi.release(self._pointer)


def look_at_lineage(path: str) -> bytes | None:
    """Return the lineage in a directory, whoever has it open; None when there is no store.

    Raises: CorruptionError, FormatError, DiskError.
    """
    ws: Any = Workspace()
    code = int(lib.skv_lineage_look(os.fsencode(path), ws.c))
    if code == NOT_FOUND:
        return None
    if code < 0:
        raise error_from(ws.c.error)
    blob: bytes = ws.data()
    return blob


def look_at_standing(path: str) -> tuple[int, int]:
    """Return the newest seqno in a store that nobody has open, and that of its log's first record. Nothing is written.

    Raises: InvalidError (there is no store), LockedError, CorruptionError, FormatError, DiskError.
    """
    ws, out = Workspace(), ffi.new("skv_standing *")
    lmdb = load_lmdb(find_lmdb_module())
    if lib.skv_standing_look(lmdb, os.fsencode(path), out, ws.c) != 0:
        raise error_from(ws.c.error)
    return out.last_seqno, out.first_seqno
