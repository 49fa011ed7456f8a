"""What the calls of an open store rest on, and what is closed at the end of a `with` block."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from shardkv._native import Calls, Engine

if TYPE_CHECKING:
    from shardkv.registry import Shared


class Opened:
    """An open store, as each group of its calls sees it; `Store` is all groups."""

    path: str
    _shared: Shared
    _engine: Engine
    _calls: Calls  # the door into C, closed with the store
    _timeout: float  # seconds that a write waits for room, or for peers

    @abstractmethod
    def _live(self) -> Engine:
        """Return the engine. Raises: ClosedError."""

    @abstractmethod
    def _level(self, ack: str | None) -> int:
        """Return what a write waits for; None: what the store's writes do."""


class Closing:
    """What the end of a `with` block closes."""

    @abstractmethod
    def close(self) -> None:
        """Close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
