"""What is awaitable by rule: each method of the synchronous store, made on the loop's own view of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from shardkv import store as synchronous
from shardkv.aio.line import Line

P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[Concatenate[synchronous.Store, P], R]
Awaited = Callable[Concatenate["Surface", P], Coroutine[Any, Any, R]]


def reading(method: Method[P, R]) -> Awaited[P, R]:
    """Make a method that reads awaitable."""

    async def call(self: Surface, /, *args: P.args, **kwargs: P.kwargs) -> R:
        line = self._line()
        return await line.read(method, line.view, *args, **kwargs)

    update_wrapper(call, method)
    return call


def writing(method: Method[P, R]) -> Awaited[P, R]:
    """Make a method that writes awaitable."""

    async def call(self: Surface, /, *args: P.args, **kwargs: P.kwargs) -> R:
        line = self._line()
        return await line.write(method, line.view, *args, **kwargs)

    update_wrapper(call, method)
    return call


class Surface:
    """The methods of a store that need nothing of their own to be awaited."""

    @abstractmethod
    def _line(self) -> Line: ...

    delete = writing(synchronous.Store.delete)
    add = writing(synchronous.Store.add)
    cas = writing(synchronous.Store.cas)
    incr = writing(synchronous.Store.incr)
    get_entry = reading(synchronous.Store.get_entry)
    stats = reading(synchronous.Store.stats)
    shard_of = reading(synchronous.Store.shard_of)
    count = reading(synchronous.Store.__len__)
    contains = reading(synchronous.Store.__contains__)

    async def pop(self, key: bytes, *default: Any) -> Any:
        """Delete a key and return what it held; `default`, or KeyError, when it is absent. Atomic."""
        line = self._line()
        return await line.write(line.view.pop, key, *default)
