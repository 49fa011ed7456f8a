"""Snapshots: one cut across all shards, for reading."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

from shardkv import snapshot
from shardkv.aio import bulk
from shardkv.aio.line import Line
from shardkv.aio.scan import rows
from shardkv.aio.surface import Surface, reading
from shardkv.scan import bounds


class Cut(Surface):
    """What snapshots of a store and of a namespace share: one synchronous snapshot on one line."""

    def __init__(self, line: Line, cut: Any) -> None:
        self._home = line
        self._cut = cut
        self.seqno: int = cut.seqno

    def _line(self) -> Line:
        return self._home

    def _on(self, line: Line) -> Any:
        return self._cut

    async def close(self) -> None:
        """Let go of the cut. Idempotent."""
        self._cut.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cut.close()

    def __repr__(self) -> str:
        return repr(self._cut).replace("shardkv.", "shardkv.aio.", 1)


class Snapshot(Cut):
    """What the store held when `Store.snapshot()` was awaited. Close it: an old one keeps disk space."""

    get = reading(snapshot.Snapshot.get)
    contains = reading(snapshot.Snapshot.__contains__)

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the keys that were present, with their values; other tasks run in between."""
        return await bulk.get_many(self._home, self._cut._engine, self._cut._live(), keys)

    def scan(
        self,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        values: bool = True,
    ) -> AsyncIterator[Any]:
        """Iterate over (key, value) in key order, as `Store.scan` does."""
        return rows(
            self._home,
            self._cut._engine,
            self._cut._live(),
            bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
        )

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.scan(values=False)
