"""Telling a thread to end, and the child process that it waits for."""

from __future__ import annotations

import threading

from shardkv.children import Child
from shardkv.errors import ClosedError


class Stop:
    """Told once, by any thread; looked at by the one that shall end."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._child: Child | None = None

    def set(self) -> None:
        """Tell it. A child that is waited for is ended."""
        self._over.set()
        if self._child is not None:
            self._child.end()

    def watch(self, child: Child) -> None:
        """End this child when told."""
        self._child = child
        if self._over.is_set():
            child.end()

    @property
    def told(self) -> bool:
        """Whether it was told."""
        return self._over.is_set()

    def check(self) -> None:
        """Raise ClosedError when it was told."""
        if self.told:
            raise ClosedError("the store is closed")

    def sleep(self, seconds: float) -> None:
        """Let some time pass, unless it is told."""
        self._over.wait(seconds)
