"""The change feed for asyncio: what was written, in order, once it is durable; other tasks run between blocks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from shardkv import _native
from shardkv.aio.line import Line
from shardkv.changes import BLOCK_BYTES, Change, check_since, unpack_changes
from shardkv.errors import ClosedError
from shardkv.options import check_timeout


def replay(line: Line, engine: Any, since: int, prefix: bytes) -> AsyncIterator[Change]:
    """Begin a feed and return the changes that were appended up to now."""
    upto = engine.last_seqno()
    return _replay(line, engine, engine.open_feed(check_since(since), prefix), upto)


def watch(
    line: Line, engine: Any, since: int | None, prefix: bytes, timeout: float | None
) -> Watch:
    """Begin a live feed."""
    if timeout is not None:
        timeout = check_timeout(timeout, "timeout")
    after = None if since is None else check_since(since)
    return Watch(line, engine, engine.open_feed(after, prefix), timeout)


async def _replay(line: Line, engine: Any, feed: Any, upto: int) -> AsyncIterator[Change]:
    while True:
        block, seqno = engine.next_changes(feed, BLOCK_BYTES)
        for change in unpack_changes(block or []):
            if change.seqno > upto:
                return
            yield change
        if seqno >= upto:
            return
        if block is None:
            await line.durable(upto)  # appended, but not durable yet
        else:
            await asyncio.sleep(0)


class Watch(AsyncIterator[Change]):
    """A live feed, made by `Store.watch`: `async for change in watch`, which ends when it is closed.

    Close it, or use it in an `async with` block. It keeps nothing of the log back: who reads too slowly is told so.
    """

    def __init__(self, line: Line, engine: Any, feed: Any, timeout: float | None) -> None:
        self._line = line
        self._engine = engine
        self._feed = feed
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._ready: deque[Change] = deque()
        self._closed = False
        self._waits: asyncio.Future[None] | None = None
        _, self._seqno = engine.next_changes(feed, 0)
        self._came_to = self._seqno

    @property
    def seqno(self) -> int:
        """How far this watch has come: `since` for another one that is to go on from here."""
        return int(self._seqno)

    async def get(self, timeout: float | None = None) -> Change:
        """Wait for the next change and return it.

        Args: timeout: seconds; None waits for as long as it takes.
        Raises: TimeoutError; LogGoneError (its `seqno` is the `since` to go on with); CorruptionError; PoisonedError
            (there will be no more changes); ClosedError (the watch or its store was closed).
        """
        if timeout is not None:
            timeout = check_timeout(timeout, "timeout")
        async with asyncio.timeout(timeout), self._turn:
            while True:
                if self._closed or self._line.view.closed:
                    raise ClosedError("the watch is closed")
                if self._ready:
                    return self._take()
                if not self._fill():
                    await self._wait()

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

    async def _wait(self) -> None:
        self._engine.wait_for_changes(self._feed, 0)  # a poisoned log tells
        seqno = self._came_to + 1
        self._waits = self._line.watch(seqno)
        try:
            await self._waits
        finally:
            self._line.unwatch(seqno, self._waits)

    async def __anext__(self) -> Change:
        try:
            return await self.get(self._timeout)
        except ClosedError:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """End the watch, also for a task that is waiting in it. Idempotent."""
        self._closed = True
        _native.close_feed(self._feed)
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<shardkv.aio.Watch seqno={self.seqno}{' closed' if self._closed else ''}>"
