"""What a peer's manifest says of the family follows what the store's says."""

from __future__ import annotations

import contextlib
import threading
from typing import Protocol

from shardkv._native import Engine
from shardkv.errors import Error
from shardkv.lineage import Lineage


class Head(Protocol):
    """What a link has of the store that it belongs to."""

    path: str
    engine: Engine

    @property
    def lineage(self) -> Lineage:
        """What the manifest says of the family."""
        ...


class Teller:
    """Tells one peer. Threads: any; who tells may hang with the peer's disk."""

    def __init__(self, head: Head, path: str) -> None:
        self._head, self._path = head, path
        self._peer: Engine | None = None
        self._lock = threading.Lock()

    def keep(self, peer: Engine) -> None:
        """From here on the peer's manifest follows the store's lineage."""
        with self._lock:
            self._peer = peer
        self._tell()

    def part(self) -> None:
        """From here on the peer is not told any more."""
        with self._lock:
            self._peer = None

    def tell(self) -> threading.Thread:
        """Let the peer know what the store's lineage says by now, in a thread of its own: its disk may hang."""
        thread = threading.Thread(target=self._tell_if, name="shardkv-peer-lineage", daemon=True)
        thread.start()
        return thread

    def _tell_if(self) -> None:
        with contextlib.suppress(Error):  # what failed is told at the next session
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            if self._peer is not None:
                told = self._head.lineage.as_peer(self._head.path, self._path)
                self._peer.save_lineage(told.packed())
