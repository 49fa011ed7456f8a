"""The stores that this process has open, by device and inode of their directory.

LMDB and file locks forbid opening a store twice in one process, so a second open shares the engine. This is the one
place with state of the process: fork and interpreter exit are handled here.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Sequence
from typing import Any

from shardkv import quarantine
from shardkv._native import Engine
from shardkv.catalogue import Catalogue
from shardkv.errors import CorruptionError, DiskError, Error, ForkedError, InvalidError
from shardkv.flights import Flights
from shardkv.leases import Returns
from shardkv.options import LOCK_STRIPES, Options
from shardkv.patrol import Patrol
from shardkv.peers import Peers
from shardkv.places import guide, refuse_new_beside
from shardkv.stripes import Stripes
from shardkv.workers import Workers

Place = tuple[int, int]


class Shared:
    """One engine, its key locks, namespaces, worker threads, and how many Store objects use it."""

    def __init__(self, engine: Engine, path: str) -> None:
        self.engine = engine
        self.place = place_of(path)
        self.peers = Peers(path, engine)
        self.stripes = Stripes(engine.options.lock_stripes or LOCK_STRIPES)
        self.catalogue = Catalogue()
        self.returns = Returns()
        self.flights = Flights()
        self.transactions: dict[object, Any] = {}  # that are open, by the thread or task
        self.workers = Workers(engine)
        self.patrol: Patrol | None = None
        self.users = 1
        self.closing = threading.Lock()
        self.forked = False


class Registry:
    """All engines of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: dict[Place, Shared] = {}
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self._exit)

    def acquire(
        self,
        path: str,
        options: Options,
        peers: Sequence[str] | None = None,
        *,
        quorum: bool = False,
    ) -> Shared:
        """Open the store at `path`, or share the engine that has it open.

        Args: peers, quorum: as Peers.begin.
        Raises: InvalidError when the options contradict those it is open with; whatever opening raises.
        """
        if not options.quarantined:
            quarantine.refuse(path)
        with self._lock:
            shared = self._open.get(place_of(path)) if os.path.isdir(path) else None
            if shared is not None:
                if differing := options.contradictions(shared.engine.options):
                    raise InvalidError(
                        f"{path} is open in this process with other options: {', '.join(differing)}"
                    )
                if peers is not None and set(peers) != set(shared.peers):
                    raise InvalidError(f"{path} is open in this process with other peers")
                shared.users += 1
                return shared
            shared = begin(path, options, peers, quorum)
            self._open[shared.place] = shared
            return shared

    def release(self, shared: Shared, *, flush: bool) -> None:
        """Give one use back; the last one closes the engine, flushed unless told otherwise."""
        if shared.forked:
            raise ForkedError("the store belongs to the parent process")
        with self._lock:
            shared.users -= 1
            if shared.users > 0:
                return
        with shared.closing:
            if self._open.get(shared.place) is not shared:
                return  # opened and closed once more meanwhile: that close was quicker
            try:
                if flush and not shared.engine.options.readonly:
                    shared.engine.flush()
            finally:
                self._drop(shared)

    def _drop(self, shared: Shared) -> None:
        # Under the lock to the end: a new open must find the engine whole, or the directory free.
        with self._lock:
            if shared.users == 0:
                try:
                    shutdown(shared)
                finally:
                    del self._open[shared.place]

    def _forked(self) -> None:
        stores, self._open = list(self._open.values()), {}
        self._lock = threading.RLock()
        for shared in stores:
            shared.forked = True
            shared.engine.forked()
            shared.peers.forked()
            shared.stripes.forked()
            shared.catalogue.forked()

    def _exit(self) -> None:
        for shared in list(self._open.values()):
            with contextlib.suppress(Error), shared.closing:
                shutdown(shared)
        self._open.clear()


def place_of(path: str) -> Place:
    """Return what identifies a directory however it is spelled."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def shutdown(shared: Shared) -> None:
    """Stop the engine, join its threads, release its files. Everything appended is synced first."""
    engine, peers, workers = shared.engine, shared.peers, shared.workers
    patrols = [shared.patrol] if shared.patrol else []
    # Each is taken whatever another raised; twice where the next needs it, since Ctrl-C may come as it is called.
    order = [
        *(patrol.stop for patrol in patrols),
        *(peers.drain, peers.stop),
        *(engine.stop, engine.stop),
        *(patrol.join for patrol in patrols),
        *(peers.join, workers.join, workers.join),
        *(engine.close, engine.close),
    ]
    steps = contextlib.ExitStack()
    for step in reversed(order):
        steps.callback(step)
    try:
        steps.close()
    finally:
        steps.close()  # what Ctrl-C between two of them left


def begin(path: str, options: Options, peers: Sequence[str] | None, quorum: bool) -> Shared:
    """Open a store, start its threads, and meet its peers."""
    if peers:
        refuse_new_beside(path, peers)
    try:
        shared = Shared(Engine(path, options), path)
    except (CorruptionError, DiskError) as error:
        raise guide(error, path, peers) from None
    with contextlib.ExitStack() as undo:
        undo.callback(shutdown, shared)
        shared.workers.start()
        quarantine.warn(path, shared.engine)
        if not options.readonly and not quarantine.quarantined(path):
            shared.peers.begin(peers, quorum=quorum)
        if pace := shared.engine.options.scrub_bytes_per_s:
            shared.patrol = Patrol(path, shared.engine, shared.peers, pace)
        undo.pop_all()
    return shared


registry = Registry()
