"""The handle of a write that was appended but not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shardkv.aio.store import Store


class Ticket:
    """A write that `Store.submit` appended. It becomes durable by itself; `await ticket` waits for that.

    Tasks: any number may wait, on any loop.
    """

    __slots__ = ("_store", "seqno")

    def __init__(self, store: Store, seqno: int) -> None:
        self._store = store
        self.seqno = seqno

    def done(self) -> bool:
        """Say whether the write is durable."""
        return self._store.durable_seqno() >= self.seqno

    async def wait(self, timeout: float | None = None) -> int:
        """Wait until the write is durable and return its seqno.

        Args: timeout: seconds; None waits for as long as it takes.
        Raises: TimeoutError (the write is still under way); PoisonedError (the outcome is unknown).
        """
        if not self.done():
            async with asyncio.timeout(timeout):
                await self._store.durable(self.seqno)
        return self.seqno

    def __await__(self) -> Generator[Any, None, int]:
        return self.wait().__await__()

    def __repr__(self) -> str:
        return f"<shardkv.aio.Ticket seqno={self.seqno}>"
