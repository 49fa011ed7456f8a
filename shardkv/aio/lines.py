"""What a store for asyncio shares with event loops: a line for each, from the first call on it until the end."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import AbstractEventLoop
from functools import partial

from shardkv import store as synchronous
from shardkv.aio.line import Line
from shardkv.errors import ClosedError
from shardkv.options import check_int


class Lines:
    """The lines of one store, by their loop."""

    def __init__(self, store: synchronous.Store) -> None:
        self._store = store
        self._lines: dict[AbstractEventLoop, Line] = {}
        self._closing = False
        self.path = store.path

    def _join(self, loop: AbstractEventLoop) -> Line:
        if self.closed:
            raise ClosedError(f"the store {self.path} is closed")
        for other in list(self._lines):
            if other.is_closed() and (left := self._lines.pop(other, None)):
                left.shut()
        line = self._lines[loop] = Line(loop, self._store)
        if self._closing:  # meanwhile, by another thread
            line.forbid()
            loop.call_soon(line.retire)
        return line

    def _line(self) -> Line:
        loop = asyncio.get_running_loop()
        return self._lines.get(loop) or self._join(loop)

    def durable_seqno(self) -> int:
        """Return the newest durable sequence number."""
        return self._store._engine.durable_seqno()

    async def durable(self, seqno: int) -> None:
        """Wait until everything up to a sequence number is durable.

        Raises: TypeError; InvalidError: there is no such write yet.
        """
        line = self._line()
        check_int("seqno", seqno, line.engine.last_seqno(), 0)
        await line.durable(seqno)

    @property
    def closed(self) -> bool:
        """Whether this Store was closed."""
        return self._closing or self._store.closed

    async def close(self, flush: bool = True) -> None:
        """Close. Everything appended is durable afterwards, and whoever waits is told. Idempotent.

        Args: flush: also move it into the shards, so that the next open has nothing to replay.
        Cost: syncing, flushing and closing files are left to a thread of their own.
        """
        self._closing = True
        lines, self._lines = list(self._lines.items()), {}
        for _, line in lines:
            line.forbid()
        # No task: one that ends with the loop would leave the store open.
        end = partial(self._store.close, flush=flush)
        work = asyncio.get_running_loop().run_in_executor(None, end)
        try:
            await asyncio.shield(work)
        finally:
            for loop, line in lines:
                with contextlib.suppress(RuntimeError):  # a closed loop has nobody to tell
                    loop.call_soon_threadsafe(line.retire)
