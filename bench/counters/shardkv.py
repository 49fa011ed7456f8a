"""shardkv's incr."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import shardkv
import shardkv.aio
from bench.counters import KEY, Counter, Increment
from bench.loops import Caller


class ShardkvCounter(Counter):
    """`Store.incr`, and `shardkv.aio`'s on the loop; both at ack disk, the default."""

    name = "shardkv"
    settings = "defaults"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._store = shardkv.open(path)

    def caller(self) -> Caller:
        return Caller(self._store.incr, lambda: None)

    @asynccontextmanager
    async def on_loop(self) -> AsyncIterator[Increment]:
        store = await shardkv.aio.open(self.path)
        try:
            yield store.incr
        finally:
            await store.close(flush=False)

    def count(self) -> int:
        return int(self._store.get(KEY, b"0"))

    def close(self) -> None:
        self._store.close(flush=False)
