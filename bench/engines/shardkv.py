"""shardkv."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import shardkv
from bench.engines import Durability, Engine, Session, Setup


class ShardkvEngine(Engine):
    """Puts are `put(ack="disk")`; without durability they are `submit`, whose ticket is dropped."""

    name = "shardkv"
    module = "shardkv"
    settings = "defaults"

    def __init__(self, path: Path, setup: Setup) -> None:
        super().__init__(path, setup)
        options = {"unflushed_bytes": setup.budget_bytes, "shards": setup.shards}
        chosen = {name: value for name, value in options.items() if value is not None}
        self.store = shardkv.open(path, ack=setup.durability.value, **chosen)

    def session(self) -> Session:
        durable = self.setup.durability is Durability.DISK
        put = self.store.put if durable else self.store.submit
        put_many = functools.partial(self.store.put_many, ack=self.setup.durability.value)
        return Session(put, put_many, self.store.get)

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

    def close(self) -> None:
        self.store.close(flush=False)
