"""The change feed: every put and delete, in the order in which they were made, once they are durable."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shardkv import _native
from shardkv._native import SLICE_MS, Engine, as_bytes
from shardkv.errors import ClosedError, InvalidError
from shardkv.opened import Closing, Opened
from shardkv.options import check_timeout

BLOCK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Change:
    """One put or delete.

    Attributes:
        seqno: its sequence number; the next change of the store has a larger one.
        key: which key.
        value: what was put; None: the key was deleted.
        expires_at: Unix time in seconds at which a put that has a ttl expires; None: never.
    """

    seqno: int
    key: bytes
    value: bytes | None
    expires_at: float | None


def unpack_changes(block: list[Any]) -> Iterator[Change]:
    """Make the changes of one block of a feed."""
    for seqno, key, value, expires_ms in zip(*[iter(block)] * 4, strict=True):
        yield Change(seqno, key, value, expires_ms / 1000 if expires_ms else None)


def check_since(since: int) -> int:
    """Raise unless this can be a sequence number."""
    if not isinstance(since, int) or isinstance(since, bool):
        raise TypeError(f"since must be an int, not {type(since).__name__}")
    if not 0 <= since < 1 << 56:
        raise InvalidError(f"since is {since}; it must be 0 or a sequence number")
    return since


def replay(engine: Engine, feed: Any, upto: int) -> Iterator[Change]:
    """Yield the changes of a feed that were appended up to a seqno, then end."""
    while True:
        block, seqno = engine.next_changes(feed, BLOCK_BYTES)
        for change in unpack_changes(block or []):
            if change.seqno > upto:
                return
            yield change
        if seqno >= upto:
            return
        if block is None:
            engine.wait(upto)  # appended, but not durable yet


class Watch(Closing, Iterator[Change]):
    """A live feed, made by `Store.watch`: an iterator that waits for the next change, and ends when it is closed.

    Close it, or use it in a `with` block. It keeps nothing of the log back: who reads too slowly is told so.

    Threads: any may read, and they take turns, each change goes to one of them; any may close.
    """

    def __init__(self, engine: Engine, store: Any, feed: Any, timeout: float | None) -> None:
        self._engine = engine
        self._store = store
        self._feed = feed
        self._timeout = timeout
        self._turn = threading.Lock()
        self._ready: deque[Change] = deque()
        self._closed = False
        _, self._seqno = engine.next_changes(feed, 0)
        self._came_to = self._seqno

    @property
    def seqno(self) -> int:
        """How far this watch has come: `since` for another one that is to go on from here."""
        return self._seqno

    def get(self, timeout: float | None = None) -> Change:
        """Wait for the next change and return it.

        Args: timeout: seconds; None waits for as long as it takes, 0 not at all.
        Raises: TimeoutError; LogGoneError (its `seqno` is the `since` to go on with); CorruptionError; PoisonedError
            (there will be no more changes); ClosedError (the watch or its store was closed).
        """
        if timeout is not None:
            timeout = check_timeout(timeout, "timeout")
        end = None if timeout is None else time.monotonic() + timeout
        if not self._turn.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError("somebody else was waiting for the next change")
        try:
            while True:
                if self._closed or self._store.closed:
                    raise ClosedError("the watch is closed")
                if self._ready:
                    return self._take()
                if not self._fill():
                    self._wait(end)
        finally:
            self._turn.release()

    def _take(self) -> Change:
        change = self._ready.popleft()
        self._seqno = change.seqno if self._ready else self._came_to
        return change

    def _fill(self) -> bool:
        """Read the next block; say whether there was more to look at."""
        block, self._came_to = self._engine.next_changes(self._feed, BLOCK_BYTES)
        self._ready.extend(unpack_changes(block or []))
        if not self._ready:
            self._seqno = self._came_to
        return block is not None

    def _wait(self, end: float | None) -> None:
        left = SLICE_MS if end is None else int((end - time.monotonic()) * 1000)
        if left <= 0:
            raise TimeoutError("there was no change in time")
        self._engine.wait_for_changes(self._feed, min(SLICE_MS, left))

    def __next__(self) -> Change:
        try:
            return self.get(self._timeout)
        except ClosedError:
            raise StopIteration from None

    def close(self) -> None:
        """End the watch, also for a thread that is waiting in it. Idempotent."""
        self._closed = True
        _native.close_feed(self._feed)

    def __repr__(self) -> str:
        return f"<shardkv.Watch seqno={self.seqno}{' closed' if self._closed else ''}>"


class ChangeFeeds(Opened):
    """What a store offers to those who follow it."""

    def changes(self, since: int = 0, *, prefix: bytes = b"") -> Iterator[Change]:
        """Iterate over the changes that were made up to now, oldest first, in the order of the log; then end.

        All of a batch is there, without a gap, or nothing.

        Args:
            since: the sequence number of the last change that is known already; 0 knows none.
            prefix: only keys that begin with it.
        Raises: LogGoneError: the log does not reach back that far (see `retain_log_bytes`), now or when a slow reader
            gets there; its `seqno` is the `since` to go on with. TypeError, InvalidError (since, prefix);
            CorruptionError; ClosedError.
        Durability: only what is durable is shown; waits for what was appended before the call.
        Cost: reads the log, in blocks; keeps nothing of it back.
        """
        engine = self._live()
        upto = engine.last_seqno()
        return replay(
            engine, engine.open_feed(check_since(since), as_bytes(prefix, "prefix")), upto
        )

    def watch(
        self, prefix: bytes = b"", *, since: int | None = None, timeout: float | None = None
    ) -> Watch:
        """Follow the store: iterate over changes as they become durable, until the watch or the store is closed.

        Args:
            prefix: only keys that begin with it.
            since: begin after this change; None: with what becomes durable from now on.
            timeout: seconds that the iterator waits for one change before TimeoutError, after which it can go on.
        Raises: as changes.
        Durability: only what is durable is shown.
        """
        if timeout is not None:
            timeout = check_timeout(timeout, "timeout")
        after = None if since is None else check_since(since)
        engine = self._live()
        return Watch(engine, self, engine.open_feed(after, as_bytes(prefix, "prefix")), timeout)
