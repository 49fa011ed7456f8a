"""The handle of a write that was appended but not waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from shardkv._native import QUORUM
from shardkv.options import check_wait

if TYPE_CHECKING:
    from shardkv.aio.store import Store


class Ticket:
    """A write that `Store.submit` appended. It becomes durable by itself; `await ticket` waits for that.

    One of a store with the ack level "quorum" or "all" waits for that.

    Tasks: any number may wait, on any loop.
    """

    __slots__ = ("_store", "seqno")

    def __init__(self, store: Store, seqno: int) -> None:
        self._store = store
        self.seqno = seqno

    def done(self) -> bool:
        """Say whether the write is durable."""
        return self._store._store._engine.reached(self._store._level(None)) >= self.seqno

    async def wait(self, timeout: float | None = None) -> int:
        """Wait until the write is durable and return its seqno.

        Args: timeout: seconds; None waits for as long as it takes.
        Raises: TimeoutError (the write is still under way); PoisonedError (the outcome is unknown); AckError (it is
            durable here, but its level was not reached in that time, or cannot be).
        """
        timeout = check_wait(timeout)
        if not self.done():
            end = None if timeout is None else time.monotonic() + timeout
            async with asyncio.timeout(timeout):
                await self._store.durable(self.seqno)
            left = None if end is None else max(0.0, end - time.monotonic())
            if (level := self._store._level(None)) >= QUORUM:
                await self._store._line().level(level).reach(self.seqno, left)
        return self.seqno

    def __await__(self) -> Generator[Any, None, int]:
        return self.wait().__await__()

    def __repr__(self) -> str:
        return f"<shardkv.aio.Ticket seqno={self.seqno}>"
