"""What a store for asyncio offers beside the calls on its own keys: namespaces, locks, leases, changes, peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import partial

from shardkv import store as synchronous
from shardkv._native import as_bytes
from shardkv.aio.changes import Watch, replay, watch
from shardkv.aio.leases import Lease, take
from shardkv.aio.namespace import Namespace
from shardkv.aio.peers import Peers
from shardkv.aio.pending import Pending
from shardkv.aio.surface import Surface
from shardkv.changes import Change
from shardkv.locks import KeyLock


class Offers(Surface):
    """Namespaces, locks, leases, changes, peers."""

    _store: synchronous.Store

    @property
    def peers(self) -> Peers:
        """The store's peers: to add, to remove, to look at. As Store.peers."""
        return Peers(self._store.peers)

    async def namespace(
        self, name: str, *, codec: str = "msgpack", key_codec: str = "auto"
    ) -> Namespace:
        """Return a namespace; make it when there is none of that name.

        Args, Raises: as Store.namespace. Cost: once for each name, a thread of its own.
        """
        made = await asyncio.to_thread(
            self._store.namespace, name, codec=codec, key_codec=key_codec
        )
        return Namespace(self, made._coder)  # type: ignore[arg-type]

    def lock(self, key: bytes, timeout: float | None = None) -> KeyLock:
        """Return the lock of a key: `async with store.lock(key)`. As Store.lock, and shared with its threads."""
        return self._store.lock(key, timeout)

    def locks(self, keys: Iterable[bytes], timeout: float | None = None) -> KeyLock:
        """Return one lock for several keys. As Store.locks."""
        return self._store.locks(keys, timeout)

    def lease(self, name: str, ttl: float, *, timeout: float | None = 0) -> Pending[Lease]:
        """Take a lease: `async with store.lease("job", 30) as lease`, or `lease = await store.lease(...)`.

        A task that is cancelled while it takes one gives it back.

        Args, Raises, Durability, Cost: as Store.lease.
        """
        return Pending(partial(take, self._line(), name, ttl, timeout))

    def changes(self, since: int = 0, *, prefix: bytes = b"") -> AsyncIterator[Change]:
        """Iterate over the changes that were made up to now, oldest first, in the order of the log; then end.

        Args, Raises: as Store.changes. Other tasks run between blocks.
        """
        line = self._line()
        return replay(line, line.engine, since, as_bytes(prefix, "prefix"))

    def watch(
        self, prefix: bytes = b"", *, since: int | None = None, timeout: float | None = None
    ) -> Watch:
        """Follow the store: `async for change in watch`, as changes become durable, until one of both is closed.

        Args, Raises: as Store.watch.
        """
        line = self._line()
        return watch(line, line.engine, since, as_bytes(prefix, "prefix"), timeout)
