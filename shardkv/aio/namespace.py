"""Namespaces for asyncio: as `shardkv.Namespace`, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from shardkv import namespace as synchronous
from shardkv._native import NO_SNAPSHOT
from shardkv.aio import bulk
from shardkv.aio.changes import replay, watch
from shardkv.aio.line import Line
from shardkv.aio.pending import Pending
from shardkv.aio.scan import rows
from shardkv.aio.snapshot import Snapshot
from shardkv.aio.surface import Keyed, reading, writing
from shardkv.aio.ticket import Ticket
from shardkv.aio.transaction import Inside, OwnTransaction, Transaction
from shardkv.aio.typed import TypedBatch, TypedSnapshot, TypedWatch, typed_changes
from shardkv.coder import Coder
from shardkv.expiry import Ttl, ttl_ms
from shardkv.locks import KeyLock
from shardkv.options import Ack
from shardkv.transacting import RETRIES
from shardkv.typed_feed import Beginning, TypedChange

if TYPE_CHECKING:
    from shardkv.aio.store import Store

N = synchronous.Namespace


class Namespace(Keyed):
    """Typed keys and values inside a store, made by `Store.namespace`. Ordered by key.

    Its calls are those of `shardkv.Namespace`, awaited, with the promises of `shardkv.aio.Store`.
    """

    def __init__(self, store: Store, coder: Coder) -> None:
        self.store = store
        self._coder = coder

    @property
    def name(self) -> str:
        """The namespace."""
        return self._coder.name

    @property
    def codec(self) -> str:
        """The codec of its values."""
        return self._coder.codec

    @property
    def key_codec(self) -> str:
        """The codec of its keys."""
        return self._coder.key_codec

    def _line(self) -> Line:
        return self.store._line()

    def _on(self, line: Line) -> N:
        found = line.namespaces.get(self._coder)
        if found is None:
            found = line.namespaces[self._coder] = N(line.view, self._coder)
        return found

    def _raw(self, line: Line) -> Any:
        return self._on(line)._raw

    def _stored_key(self, key: Any) -> bytes:
        return self._coder.key(key)

    def _stored_value(self, value: Any) -> bytes:
        return self._coder.encode(value)

    def _value_of(self, stored: bytes) -> Any:
        return self._coder.decode(stored)

    def _engine(self, line: Line) -> Any:
        return self._raw(line)._live()

    # -- one key

    put = writing(N.put)
    delete = writing(N.delete)
    add = writing(N.add)
    cas = writing(N.cas)
    incr = writing(N.incr)
    touch = writing(N.touch)
    persist = writing(N.persist)
    get = reading(N.get)
    get_entry = reading(N.get_entry)
    ttl = reading(N.ttl)
    contains = reading(N.__contains__)

    async def submit(self, key: Any, value: Any, *, ttl: Ttl = None) -> Ticket:
        """Append a put and return a ticket: `await ticket` waits until it is durable."""
        line = self._line()
        ticket = await line.write(self._on(line).submit, key, value, ttl=ttl)
        return Ticket(self.store, ticket.seqno)

    # -- many keys

    async def put_many(
        self, items: synchronous.Pairs, *, ttl: Ttl = None, ack: Ack | None = None
    ) -> int:
        """Store many pairs, in order, in atomic chunks; return the last sequence number. As Store.put_many."""
        line = self._line()
        pairs = map(self._coder.pair, items.items() if isinstance(items, Mapping) else items)
        level = self.store._level(ack)
        return await bulk.put_many(line, self._engine(line), pairs, level, ttl_ms(ttl))

    async def delete_many(self, keys: Iterable[Any], *, ack: Ack | None = None) -> int:
        """Delete many keys; return how many were there."""
        line, stored = self._line(), map(self._coder.key, keys)
        return await bulk.delete_many(line, self._engine(line), stored, self.store._level(ack))

    async def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the keys that are present, with their values."""
        line, stored = self._line(), map(self._coder.key, keys)
        found = await bulk.get_many(line, self._engine(line), NO_SNAPSHOT, stored)
        return dict(map(self._coder.pair_of, found.items()))

    async def clear(self) -> None:
        """Delete every key, a block at a time; values are not read. Not atomic."""
        line = self._line()
        limits, level = self._coder.bounds(None, None, None), self.store._level(None)
        await bulk.clear(line, self._engine(line), limits, level)

    async def count(self) -> int:
        """Count the keys. Cost: a scan of them."""
        count = 0
        async for _ in self.scan(values=False):
            count += 1
        return count

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
        line = self._line()
        return rows(
            line,
            self._engine(line),
            NO_SNAPSHOT,
            self._coder.bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
            make=self._coder.pair_of if values else self._coder.key_of,
        )

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.scan(values=False)

    # -- scopes

    def batch(self, *, ack: Ack | None = None) -> TypedBatch:
        """Return a batch of this namespace: `async with`; for several, use `store.batch()` and `using`."""
        return TypedBatch(self._coder, self.store.batch(ack=ack))

    def snapshot(self) -> Pending[TypedSnapshot]:
        """Return one cut of this namespace; for several, use `store.snapshot()` and `using`."""
        return Pending(self._snapshot)

    async def _snapshot(self) -> TypedSnapshot:
        return TypedSnapshot(self._coder, await self.store.snapshot())

    def using(self, scope: Any) -> Any:
        """Return this namespace's view of a batch, snapshot or transaction of the same store.

        Raises: TypeError; InvalidError when it belongs to another store.
        """
        on = self._on(self._line())
        if isinstance(scope, Transaction):
            return Inside(scope._line, on.using(scope._raw))
        if not isinstance(scope, Snapshot):
            return on.using(scope)
        on.using(scope._cut)  # refuses that of another store
        return TypedSnapshot(self._coder, scope)

    def transaction(self, *, ack: Ack | None = None) -> OwnTransaction:
        """Return a transaction of this namespace; for several, use `store.transaction()` and `using`."""
        whole = self.store.transaction(ack=ack)
        return OwnTransaction(whole, self.using(whole)._raw)

    async def run_transaction(
        self, fn: Callable[[Inside], Any], *, retries: int = RETRIES, ack: Ack | None = None
    ) -> Any:
        """Call `fn(transaction)`, await it, commit; again when that meets a conflict. As Store.run_transaction."""
        return await self.store.run_transaction(
            lambda transaction: fn(self.using(transaction)), retries=retries, ack=ack
        )

    # -- changes, locks

    def changes(self, since: int = 0, *, prefix: Any = None) -> AsyncIterator[TypedChange]:
        """Iterate over the changes of this namespace that were made up to now, oldest first. As Store.changes."""
        here = Beginning(self._coder, prefix)
        line = self._line()
        return typed_changes(here, replay(line, self._engine(line), since, here.first))

    def watch(
        self, prefix: Any = None, *, since: int | None = None, timeout: float | None = None
    ) -> TypedWatch:
        """Follow this namespace: iterate over its changes as they become durable. As Store.watch."""
        here = Beginning(self._coder, prefix)
        line = self._line()
        return TypedWatch(watch(line, self._engine(line), since, here.first, timeout), here)

    def lock(self, key: Any, timeout: float | None = None) -> KeyLock:
        """Return the lock of a key: `async with`. As Store.lock."""
        return self.store.lock(self._coder.key(key), timeout)

    def locks(self, keys: Iterable[Any], timeout: float | None = None) -> KeyLock:
        """Return one lock for several keys. As Store.locks."""
        return self.store.locks(map(self._coder.key, keys), timeout)

    def __repr__(self) -> str:
        return f"<shardkv.aio.Namespace {self.name!r}>"
