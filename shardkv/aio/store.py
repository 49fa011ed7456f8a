"""The store for asyncio: every operation is a coroutine, none blocks the loop, none uses a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from shardkv import _native
from shardkv import store as synchronous
from shardkv._native import NO_SNAPSHOT, as_bytes
from shardkv.aio import bulk
from shardkv.aio.batch import Batch
from shardkv.aio.line import Line
from shardkv.aio.lines import Lines
from shardkv.aio.offers import Offers
from shardkv.aio.pending import Pending
from shardkv.aio.scan import rows
from shardkv.aio.snapshot import Snapshot
from shardkv.aio.surface import Keyed, StoreSurface
from shardkv.aio.ticket import Ticket
from shardkv.aio.transaction import Transactions
from shardkv.bulk import Pairs
from shardkv.expiry import Ttl, ttl_ms
from shardkv.options import Ack
from shardkv.scan import bounds

LATER = _native.LATER


class Store(Lines, StoreSurface, Keyed, Offers, Transactions):
    """An open store, made by `shardkv.aio.open`: the methods of `shardkv.Store`, awaitable.

    A task that is cancelled while it waits for durability leaves its write in place: it was appended, and becomes
    durable with the others. One that is cancelled while it waits for room has written nothing. No write is ever
    applied in part.

    Tasks, loops, threads: any number of tasks, on any number of loops, beside synchronous use of the same directory.
    Cost: reads are made at once, on the loop's thread, from memory-mapped files; only what is not durable yet is
        waited for. A task that only reads what is durable does not let others run by itself.
    """

    def __init__(self, store: synchronous.Store) -> None:
        super().__init__(store)
        self._durable = store._ack == _native.DISK

    # -- writing

    async def put(
        self,
        key: bytes,
        value: bytes,
        *,
        ttl: Ttl = None,
        if_version: int | None = None,
        ack: Ack | None = None,
    ) -> int:
        """Store `value` under `key` and return the write's sequence number, the key's new version.

        Raises: as Store.put.
        Durability: as `ack` says, once this returns.
        Cost: one shared sync for each group of waiting writers; no system call of its own.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop) or self._join(loop)
        plain = ack is None and ttl is None and if_version is None
        if plain and self._durable and not line.crowd:
            seqno = line.put(key, value, LATER)
            if seqno > 0:
                wait = line.waiting.wait(seqno)
                if not line.armed:
                    line.arm()
                await wait
                return seqno
        return await line.write(line.view.put, key, value, ttl=ttl, if_version=if_version, ack=ack)

    async def submit(self, key: bytes, value: bytes, *, ttl: Ttl = None) -> Ticket:
        """Append a put and return a ticket: `await ticket` waits until it is durable.

        Raises: as put. Waits only when there is no room.
        """
        line = self._line()
        ticket = await line.write(line.view.submit, key, value, ttl=ttl)
        return Ticket(self, ticket.seqno)

    async def put_many(self, items: Pairs, *, ttl: Ttl = None, ack: Ack | None = None) -> int:
        """Store many pairs, in order; return the last sequence number.

        Each chunk of up to 1,024 pairs or 1 MiB is one atomic batch, and other tasks run in between; what was stored
        before an error or a cancellation stays. Use `batch()` for all or nothing.
        """
        line, pairs = self._line(), items.items() if isinstance(items, Mapping) else items
        return await bulk.put_many(line, line.engine, pairs, self._level(ack), ttl_ms(ttl))

    async def delete_many(self, keys: Iterable[bytes], *, ack: Ack | None = None) -> int:
        """Delete many keys; return how many were there. Each by itself is atomic; other tasks run in between."""
        line = self._line()
        return await bulk.delete_many(line, line.engine, keys, self._level(ack))

    async def clear(self) -> None:
        """Delete every key, a block at a time; values are not read. Not atomic."""
        line = self._line()
        await bulk.clear(line, line.engine, (None, None), self._level(None))
        if await self.count():  # what has expired counts until it is removed
            await self.purge_expired()

    def batch(self, *, ack: Ack | None = None) -> Batch:
        """Return a batch for an `async with` block: atomic across shards, nothing is written when the block raises."""
        return Batch(self._line(), self._level(ack))

    async def sync(self) -> None:
        """Wait until everything appended so far is durable."""
        line = self._line()
        await line.read(line.view.sync)

    async def flush(self) -> None:
        """Move everything appended so far from the log into the shards. Not needed for durability."""
        line = self._line()
        seqno = await line.read(line.engine.start_flush)
        await line.read(line.engine.see_flush, seqno)

    # -- reading

    async def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value of `key`, or `default`.

        Durability: a value that its writer wants on disk is not shown before it is there.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop) or self._join(loop)
        value = line.get(key)
        if value is NotImplemented:
            return await line.read(line.view.get, key, default)
        return default if value is None else value

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the keys that are present, with their values. Not a snapshot; other tasks run in between."""
        line = self._line()
        return await bulk.get_many(line, line.engine, NO_SNAPSHOT, keys)

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
        """Iterate with `async for` over (key, value), or over keys, in key order across all shards.

        Args, Returns, Raises: as Store.scan: the store as it is now, whatever is written meanwhile.
        Cost: rows come in blocks of up to 1,024, and other tasks run in between.
        """
        line = self._line()
        return rows(
            line,
            line.engine,
            NO_SNAPSHOT,
            bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
        )

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.scan(values=False)

    def snapshot(self) -> Pending[Snapshot]:
        """Return one cut across all shards: `async with store.snapshot() as s`, or `s = await store.snapshot()`."""
        return Pending(self._snapshot)

    async def _snapshot(self) -> Snapshot:
        line = self._line()
        return Snapshot(line, await line.read(line.view.snapshot))

    def _raw(self, line: Line) -> synchronous.Store:
        return line.view

    def _stored_key(self, key: Any) -> bytes:
        return as_bytes(key, "key")

    def _stored_value(self, value: Any) -> bytes:
        return as_bytes(value, "value")

    def _value_of(self, stored: bytes) -> bytes:
        return stored

    def _level(self, ack: str | None) -> int:
        return self._store._level(ack)

    # -- the end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self._store).replace("shardkv.", "shardkv.aio.", 1)
