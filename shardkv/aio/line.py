"""One event loop's line to a store: calls that are made at once, and what they leave to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from shardkv._native import NO_CALLS, NotYet, Unwaiting
from shardkv.aio.flights import Flights
from shardkv.aio.queue import Queue
from shardkv.coder import Coder
from shardkv.errors import Error, OverloadedError
from shardkv.namespace import Namespace
from shardkv.store import Store

P = ParamSpec("P")
R = TypeVar("R")


def view_of(store: Store, engine: Unwaiting) -> Store:
    """Return the synchronous store over an engine that never waits: what it would wait for is owed, or raised."""
    view = object.__new__(Store)
    vars(view).update(vars(store), _engine=engine, _opened=False, _twins={})
    view._bind(engine.calls)
    return view


class Line(Queue):
    """What one loop shares with one store: the synchronous store over an engine that never waits, and who waits.

    Attributes:
        crowd: how many tasks wait for room; who comes later waits behind them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store) -> None:
        self.engine = Unwaiting(store._live())
        super().__init__(loop, self.engine)
        self.debt = self.engine.debt
        self.view = view_of(store, self.engine)
        self.namespaces: dict[Coder, Namespace] = {}
        self.flights = Flights()
        self.put, self.get = self.engine.calls.put, self.engine.calls.get
        self.crowd = 0
        self._timeout = store._timeout
        self._turn = asyncio.Lock()

    def forbid(self) -> None:
        """Refuse further calls: the store is being closed."""
        self.view._closed = True
        self.view._bind(NO_CALLS)
        self.view._close_inner()
        self.put, self.get = NO_CALLS.put, NO_CALLS.get

    async def read(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make a call that reads; return its answer once that may be shown."""
        debt = self.debt
        while True:
            debt.seqno = 0
            try:
                answer = call(*args, **kwargs)
            except NotYet as raised:
                later = raised
            except (Error, KeyError):
                if debt.seqno:
                    await self.durable(debt.seqno)
                raise
            else:
                break
            await self.pause(later)
        if debt.seqno:
            await self.durable(debt.seqno)
        return answer

    async def write(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make a call that writes; return its answer once it is as durable as it shall be.

        Cancelled before it was appended, nothing is written; afterwards it stays and becomes durable.
        Raises: OverloadedError; what the call raises.
        """
        debt = self.debt
        debt.seqno = 0
        try:
            if self.crowd:
                answer = await self._queue(partial(call, *args, **kwargs))
            else:
                try:
                    answer = call(*args, **kwargs)
                except NotYet:
                    answer = await self._queue(partial(call, *args, **kwargs))
        except (Error, KeyError):
            if (
                debt.seqno
            ):  # some tell what a key held, or that it is absent: an answer like another
                await self.durable(debt.seqno)
            raise
        if debt.seqno:
            await self.durable(debt.seqno)
        return answer

    async def _queue(self, call: Callable[[], R]) -> R:
        """Wait for room, one after the other. Between the call and the return nothing else of the loop runs."""
        debt = self.debt
        self.crowd += 1
        why = "others wait for it"
        try:
            async with asyncio.timeout(self._timeout) as limit, self._turn:
                try:
                    while True:
                        debt.seqno = 0
                        try:
                            return call()
                        except NotYet as raised:
                            later = raised
                        why = str(later.why)
                        await self.pause(later)
                finally:
                    self.engine.give_up()
        except TimeoutError:
            if not limit.expired():
                raise
            raise OverloadedError(
                f"no room for the write within {self._timeout:g} s: {why}; nothing was written"
            ) from None
        finally:
            self.crowd -= 1
