"""Batches: collected without waiting, applied as one when the `async with` block ends."""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn, Self

from shardkv import batch
from shardkv.aio.line import Line


class Batch(batch.Batch):
    """Collect writes with `put` and `delete`, which do not wait; the end of the block applies and awaits them.

    Nothing is written when the block raises, or is cancelled before it ends.
    """

    def __init__(self, line: Line, ack: int) -> None:
        super().__init__(line.view._live(), ack, 0)
        self._line = line

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self:
            await self._line.write(super().__exit__, None, None, None)
        else:  # nothing is written: what the block raised waits for no room
            super().__exit__(kind, error, trace)

    def __enter__(self) -> NoReturn:
        raise TypeError("a batch of shardkv.aio wants `async with`")
