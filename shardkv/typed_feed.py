"""The change feed of one namespace: the store's own, with keys and values decoded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shardkv.changes import Change, Watch
from shardkv.coder import Coder
from shardkv.errors import ClosedError
from shardkv.typed import Scope


@dataclass(frozen=True, slots=True)
class TypedChange:
    """One put or delete in a namespace.

    Attributes:
        seqno, key, expires_at: as of a Change.
        value: what was put; None also when the key was deleted.
        deleted: whether it was.
    """

    seqno: int
    key: Any
    value: Any
    expires_at: float | None
    deleted: bool


class Beginning:
    """The changes of keys that begin with a typed prefix.

    The feed itself compares bytes, where a tuple's last text may go on: ("a",) and ("a\\0",). The range does not.
    """

    def __init__(self, coder: Coder, prefix: Any) -> None:
        self._coder = coder
        self.first, self._end = coder.bounds(None, None, prefix)

    def typed(self, change: Change) -> TypedChange | None:
        """Return a change with key and value decoded; None when it is of another key."""
        if change.key < self.first or (self._end is not None and change.key >= self._end):
            return None
        coder = self._coder
        value = None if change.value is None else coder.decode(change.value)
        key = coder.key_of(change.key)
        return TypedChange(change.seqno, key, value, change.expires_at, change.value is None)

    def of(self, changes: Iterator[Change]) -> Iterator[TypedChange]:
        """Yield those of some changes that belong here, decoded."""
        return (typed for change in changes if (typed := self.typed(change)) is not None)


class TypedWatch(Scope, Iterator[TypedChange]):
    """A live feed of one namespace, made by `Namespace.watch`. As `Watch`."""

    def __init__(self, coder: Coder, raw: Watch, beginning: Beginning) -> None:
        super().__init__(coder, raw)
        self._beginning = beginning

    @property
    def seqno(self) -> int:
        """How far this watch has come: `since` for another one that is to go on from here."""
        return self._raw.seqno  # type: ignore[no-any-return]

    def get(self, timeout: float | None = None) -> TypedChange:
        """Wait for the next change and return it.

        Args, Raises: as Watch.get.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            typed = self._beginning.typed(self._raw.get(timeout))
            if typed is not None:
                return typed
            timeout = None if end is None else max(0.0, end - time.monotonic())

    def __next__(self) -> TypedChange:
        try:
            return self.get(self._raw._timeout)
        except ClosedError:
            raise StopIteration from None

    def close(self) -> None:
        """End the watch, also for a thread that is waiting in it. Idempotent."""
        self._raw.close()
