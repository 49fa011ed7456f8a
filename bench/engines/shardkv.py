"""shardkv."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import shardkv
import shardkv.aio
from bench.engines import Durability, Engine, LoopCalls, Pairs, Session, Setup


class ShardkvEngine(Engine):
    """Puts are `put(ack="disk")`; without durability they are `submit`, whose ticket is dropped."""

    name = "shardkv"
    module = "shardkv"
    settings = "defaults"
    syncs_behind = True

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        options = {"unflushed_bytes": setup.budget_bytes, "shards": setup.shards}
        chosen = {name: value for name, value in options.items() if value is not None}
        self._durable = setup.durability is Durability.DISK
        self._ack: Literal["disk", "memory"] = "disk" if self._durable else "memory"
        self.store = shardkv.open(path, ack=self._ack, **chosen)

    def session(self) -> Session:
        put = self.store.put if self._durable else self.store.submit
        put_many = functools.partial(self.store.put_many, ack=self._ack)
        return Session(put, put_many, self.store.get, scan=self._scan_from)

    def _scan_from(self, start: bytes, most: int) -> Pairs:
        return list(self.store.scan(start, limit=most))

    @asynccontextmanager
    async def on_loop(self) -> AsyncIterator[LoopCalls]:
        """Lend the calls of `shardkv.aio`, which shares the engine of a store that is open."""
        store = await shardkv.aio.open(self.path, ack=self._ack)

        async def scan(start: bytes, most: int) -> Pairs:
            return [row async for row in store.scan(start, limit=most)]

        try:
            yield LoopCalls(store.put, store.get, scan)
        finally:
            await store.close(flush=False)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        return self.store.scan()

    def sync(self) -> None:
        self.store.sync()

    def flush(self) -> None:
        self.store.flush()

    def log_bytes(self) -> int:
        return self.store.stats().log.synced_bytes

    def counters(self) -> dict[str, float]:
        stats = self.store.stats()
        return {
            "index_bytes": stats.index_bytes,
            "unflushed_share": stats.unflushed_records,
        }

    def gauges(self) -> dict[str, float]:
        stats = self.store.stats()
        flush_s = sum(shard.flush_s for shard in stats.shards)
        return {"unflushed_bytes": stats.unflushed_bytes, "flush_s": flush_s}

    def close(self) -> None:
        self.store.close(flush=False)
