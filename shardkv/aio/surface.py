"""What is awaitable by rule: each method of a synchronous object, made on the loop's own view of it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from shardkv import store as synchronous
from shardkv.aio.flights import made
from shardkv.aio.line import Line
from shardkv.mapping import MISSING

P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[Concatenate[Any, P], R]
Awaited = Callable[Concatenate["Surface", P], Coroutine[Any, Any, R]]


def reading(method: Method[P, R]) -> Awaited[P, R]:
    """Make a method that reads awaitable."""

    async def call(self: Surface, /, *args: P.args, **kwargs: P.kwargs) -> R:
        line = self._line()
        return await line.read(method, self._on(line), *args, **kwargs)

    update_wrapper(call, method)
    return call


def writing(method: Method[P, R]) -> Awaited[P, R]:
    """Make a method that writes awaitable."""

    async def call(self: Surface, /, *args: P.args, **kwargs: P.kwargs) -> R:
        line = self._line()
        return await line.write(method, self._on(line), *args, **kwargs)

    update_wrapper(call, method)
    return call


def upkeep(method: Method[P, R]) -> Awaited[P, R]:
    """Make a method awaitable that is no operation: it does much, and rarely, in a thread of its own."""

    async def call(self: Surface, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self._blocking(), *args, **kwargs)

    update_wrapper(call, method)
    return call


class Surface:
    """Something whose methods are those of a synchronous object, awaited."""

    @abstractmethod
    def _line(self) -> Line:
        """Return the line of the running loop."""

    @abstractmethod
    def _on(self, line: Line) -> Any:
        """Return the synchronous object, over an engine that does not wait."""

    def _blocking(self) -> Any:
        """Return the synchronous object that may wait."""
        raise NotImplementedError


class StoreSurface(Surface):
    """The methods of a store that need nothing of their own to be awaited."""

    _store: synchronous.Store

    def _on(self, line: Line) -> synchronous.Store:
        return line.view

    def _blocking(self) -> synchronous.Store:
        return self._store

    configure = upkeep(synchronous.Store.configure)
    purge_expired = upkeep(synchronous.Store.purge_expired)
    namespaces = upkeep(synchronous.Store.namespaces)
    drop_namespace = upkeep(synchronous.Store.drop_namespace)
    backup = upkeep(synchronous.Store.backup)
    scrub = upkeep(synchronous.Store.scrub)

    delete = writing(synchronous.Store.delete)
    add = writing(synchronous.Store.add)
    cas = writing(synchronous.Store.cas)
    incr = writing(synchronous.Store.incr)
    touch = writing(synchronous.Store.touch)
    persist = writing(synchronous.Store.persist)
    ttl = reading(synchronous.Store.ttl)
    get_entry = reading(synchronous.Store.get_entry)
    stats = reading(synchronous.Store.stats)
    shard_of = reading(synchronous.Store.shard_of)
    count = reading(synchronous.Store.__len__)
    contains = reading(synchronous.Store.__contains__)


class Keyed(Surface):
    """The calls that stores and namespaces share and that are more than one call of the synchronous object."""

    @abstractmethod
    def _raw(self, line: Line) -> synchronous.Store:
        """Return the store of bytes, over an engine that does not wait."""

    @abstractmethod
    def _stored_key(self, key: Any) -> bytes: ...

    @abstractmethod
    def _stored_value(self, value: Any) -> bytes: ...

    @abstractmethod
    def _value_of(self, stored: bytes) -> Any: ...

    async def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Delete a key and return what it held; `default`, or KeyError, when it is absent. Atomic."""
        line = self._line()
        value = await line.write(self._on(line).pop, key, MISSING_HERE)
        if value is not MISSING_HERE:
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    async def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of `key`; when it is absent, store and return `default`. Atomic."""
        return await self.get_or_set(key, lambda: default)

    async def get_or_set(
        self, key: Any, fn: Callable[[], Any], ttl: Any = None, *, ack: Any = None
    ) -> Any:
        """Return the value of `key`; when it is absent, store and return what `fn()` returns, or what that awaits.

        Tasks of one loop that miss the same key together wait for one `fn()`. When it raises or is cancelled, the next
        who waits tries its own. What another call stored meanwhile wins.

        Args: ttl: of the value that is stored.
        Raises: what `fn` raises; LockOwnerError when `fn` asks for its own key; as get and put.
        """
        line = self._line()
        raw, stored = self._raw(line), self._stored_key(key)
        how = raw._terms(ttl, ack)

        async def make() -> bytes:
            found: bytes | None = await line.read(raw.get, stored)
            if found is not None:
                return found
            value = self._stored_value(await made(fn))
            added, _ = await line.write(raw._put_if, stored, value, 0, how)
            if not added:
                found = await line.read(raw.get, stored)
            return value if found is None else found

        found: bytes | None = await line.read(raw.get, stored)
        return self._value_of(await line.flights.fly(stored, make) if found is None else found)


MISSING_HERE: Any = object()
