"""Snapshots: one cut across all shards, for reading."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

from shardkv import snapshot
from shardkv.aio.line import Line
from shardkv.aio.scan import rows
from shardkv.scan import bounds


class Snapshot:
    """What the store held when `Store.snapshot()` was awaited. Close it: an old one keeps disk space."""

    def __init__(self, line: Line, cut: snapshot.Snapshot) -> None:
        self._line = line
        self._cut = cut
        self.seqno = cut.seqno

    async def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value that `key` had, or `default`."""
        return await self._line.read(self._cut.get, key, default)

    async def contains(self, key: bytes) -> bool:
        """Say whether `key` was there."""
        return await self._line.read(self._cut.__contains__, key)

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the keys that were present, with their values."""
        return await self._line.read(self._cut.get_many, keys)

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
            self._line,
            self._cut._live(),
            bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
        )

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.scan(values=False)

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
