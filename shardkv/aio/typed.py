"""A namespace's batches, snapshots and feeds for asyncio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

from shardkv import typed
from shardkv.aio import bulk
from shardkv.aio.batch import Batch
from shardkv.aio.changes import Watch
from shardkv.aio.scan import rows
from shardkv.aio.snapshot import Cut, Snapshot
from shardkv.aio.surface import reading
from shardkv.changes import Change
from shardkv.coder import Coder
from shardkv.errors import ClosedError
from shardkv.inner import InnerBatch, InnerSnapshot
from shardkv.typed_feed import Beginning, TypedChange


class TypedBatch(typed.BatchView):
    """A batch of one namespace: `async with`; applied as one when the block ends, or not at all when it raises."""

    def __init__(self, coder: Coder, batch: Batch) -> None:
        super().__init__(coder, InnerBatch(batch))
        self._batch = batch

    @property
    def seqno(self) -> int | None:
        """The sequence number of its last write, once it is applied."""
        return self._batch.seqno

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._batch.__aexit__(kind, error, trace)


class TypedSnapshot(Cut):
    """A snapshot that shows one namespace. Close it: an old one keeps disk space."""

    def __init__(self, coder: Coder, cut: Snapshot) -> None:
        super().__init__(cut._home, typed.OwnSnapshot(coder, InnerSnapshot(cut._cut)))
        self._coder = coder

    get = reading(typed.OwnSnapshot.get)
    contains = reading(typed.OwnSnapshot.__contains__)

    async def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the keys that were present, with their values."""
        raw, stored = self._cut._raw, map(self._coder.key, keys)
        found = await bulk.get_many(self._home, raw._engine, raw._live(), stored)
        return dict(map(self._coder.pair_of, found.items()))

    def scan(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        values: bool = True,
    ) -> AsyncIterator[Any]:
        """Iterate with `async for` over (key, value), or over keys, in key order. Arguments as Namespace.scan."""
        return rows(
            self._home,
            self._cut._raw._engine,
            self._cut._raw._live(),
            self._coder.bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
            make=self._coder.pair_of if values else self._coder.key_of,
        )

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.scan(values=False)


async def typed_changes(
    beginning: Beginning, changes: AsyncIterator[Change]
) -> AsyncIterator[TypedChange]:
    """Yield those of some changes that belong to a namespace, decoded."""
    async for change in changes:
        decoded = beginning.typed(change)
        if decoded is not None:
            yield decoded


class TypedWatch(AsyncIterator[TypedChange]):
    """A live feed of one namespace, made by `Namespace.watch`. As `shardkv.aio.Watch`."""

    def __init__(self, raw: Watch, beginning: Beginning) -> None:
        self._raw = raw
        self._beginning = beginning

    @property
    def seqno(self) -> int:
        """How far this watch has come: `since` for another one that is to go on from here."""
        return self._raw.seqno

    async def get(self, timeout: float | None = None) -> TypedChange:
        """Wait for the next change and return it. Args, Raises: as `shardkv.aio.Watch.get`."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            decoded = self._beginning.typed(await self._raw.get(timeout))
            if decoded is not None:
                return decoded
            timeout = None if end is None else max(0.0, end - time.monotonic())

    async def __anext__(self) -> TypedChange:
        try:
            return await self.get(self._raw._timeout)
        except ClosedError:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """End the watch, also for a task that is waiting in it. Idempotent."""
        await self._raw.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._raw.close()
