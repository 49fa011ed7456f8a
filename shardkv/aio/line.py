"""One event loop's line to a store: calls that are made at once, and what they leave to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from shardkv._native import NO_CALLS, QUORUM, NotYet, Unwaiting
from shardkv.aio.flights import Flights
from shardkv.aio.levels import Level
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
        self.levels: dict[int, Level] = {}
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

    def is_awaited(self) -> bool:
        """Say whether somebody waits who has to be told, however late."""
        return super().is_awaited() or any(level.waiting for level in self.levels.values())

    async def acked(self, seqno: int, level: int) -> None:
        """Wait until a write has reached its level beyond memory.

        Raises: PoisonedError, ClosedError; AckError: not within the store's `write_timeout`, or not at all.
        """
        await self.durable(seqno)
        if level >= QUORUM:
            await self.level(level).reach(seqno, self._timeout)

    def level(self, level: int) -> Level:
        """Return those who wait for a level that peers have a part in."""
        return self.levels.get(level) or self.levels.setdefault(level, Level(self, level))

    async def read(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make a call that reads; return its answer once that may be shown."""
        debt = self.debt
        while True:
            debt.clear()
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
        Raises: OverloadedError; AckError; what the call raises.
        """
        debt = self.debt
        debt.clear()
        try:
            if self.crowd:
                answer = await self._queue(partial(call, *args, **kwargs))
            else:
                self.view._live()  # a batch, or a lease, may have outlived the store
                try:
                    answer = call(*args, **kwargs)
                except NotYet:
                    answer = await self._queue(partial(call, *args, **kwargs), debt.owed())
        except (Error, KeyError):
            if (
                debt.seqno
            ):  # some tell what a key held, or that it is absent: an answer like another
                await self.durable(debt.seqno)
            raise
        write, level = debt.write, debt.level
        if debt.seqno:
            await self.durable(debt.seqno)
        if level:
            await self.acked(write, level)
        return answer

    async def _queue(self, call: Callable[[], R], owed: tuple[int, int, int] = (0, 0, 0)) -> R:
        """Wait for room, one after the other. Between the call and the return nothing else of the loop runs.

        Args: owed: for what the call wrote before there was no room.
        """
        debt = self.debt
        self.crowd += 1
        why = "others wait for it"
        try:
            async with asyncio.timeout(self._timeout) as limit, self._turn:
                try:
                    while True:
                        debt.restore(owed)
                        self.view._live()
                        try:
                            return call()
                        except NotYet as raised:
                            later, owed = raised, debt.owed()
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
