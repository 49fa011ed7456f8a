"""One event loop's line to a store: who waits for what, served in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from shardkv._native import NO_CALLS, Notifier, NotYet, Unwaiting, Wait, Waits
from shardkv.aio.flights import Flights
from shardkv.coder import Coder
from shardkv.errors import ConflictError, InvalidError, OverloadedError
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


class Line:
    """What one loop shares with one store: a notifier, and the futures of the tasks that wait. The loop's thread alone.

    Attributes:
        waiting: who waits, in the order of arrival; served from the front, so that one arming is enough.
        armed: a signal will come that serves the front.
        crowd: how many tasks wait for room; who comes later waits behind them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store) -> None:
        self.loop = loop
        self.engine = Unwaiting(store._live())
        self.debt = self.engine.debt
        self.view = view_of(store, self.engine)
        self.namespaces: dict[Coder, Namespace] = {}
        self.flights = Flights()
        self.put, self.get = self.engine.calls.put, self.engine.calls.get
        self.waiting = Waits(loop, Wait)
        self.armed = False
        self.crowd = 0
        self._timeout = store._timeout
        self._turn = asyncio.Lock()
        self._roomless: list[tuple[int, asyncio.Future[None]]] = []
        self._watching: dict[asyncio.Future[None], int] = {}
        self._retired = self._shut = False
        self._notifier = Notifier(self.engine)
        loop.add_reader(self._notifier.fd, self._signalled)

    # -- durability

    def arm(self) -> None:
        """See to it that a signal comes for whoever waits for the least."""
        self.armed = True
        least = [*self._watching.values()]
        if self.waiting:
            least.append(self.waiting.first)
        if not self._notifier.arm(min(least)):
            self.loop.call_soon(self._signalled)

    async def durable(self, seqno: int) -> None:
        """Wait until seqno is durable.

        Raises: PoisonedError, ClosedError.
        """
        wait = self.waiting.wait(seqno)
        if not self.armed:
            self.arm()
        await wait

    def watch(self, seqno: int) -> asyncio.Future[None]:
        """Return what is done when seqno, which may not have been appended yet, is durable, or at the end.

        Give it back with `unwatch`. Those in `waiting` stay there until they are served; this may never be.
        """
        future = self.loop.create_future()
        self._watching[future] = seqno
        self.arm()
        return future

    def unwatch(self, future: asyncio.Future[None]) -> None:
        """Forget what `watch` returned."""
        self._watching.pop(future, None)

    def _signalled(self) -> None:
        if self._shut:
            return
        durable = self._notifier.read()
        try:
            self.waiting.resolve(durable)
        finally:  # also when a task ended the program in between
            if not self._shut:
                self._look_ahead(durable)

    def _look_ahead(self, durable: int) -> None:
        """After those who were served: wait for the next signal, or end it."""
        over = self._retired or self._notifier.failure() is not None
        for future in [f for f, seqno in self._watching.items() if over or seqno <= durable]:
            del self._watching[future]
            _wake(future)
        if self._notifier.failure() is not None:
            self._give_up()
        elif self.waiting or self._watching:
            self.arm()
        else:
            self.armed = False
        self._tell_roomless()
        if self._retired and not self.waiting:
            self.shut()

    def _give_up(self) -> None:
        """Nothing more will become durable: everybody is told now, and whoever comes later."""
        self.armed = False
        while self.waiting:
            failure = self._notifier.failure()
            assert failure is not None
            self.waiting.pop().fail(failure)

    # -- calls

    async def read(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make a call that reads; return its answer once that may be shown."""
        debt = self.debt
        while True:
            debt.seqno = 0
            try:
                answer = call(*args, **kwargs)
            except NotYet as raised:
                later = raised
            else:
                break
            await self._pause(later)
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
        except (ConflictError, InvalidError):
            if debt.seqno:  # they tell what a key held: an answer like another
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
                        await self._pause(later)
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

    # -- room

    async def _pause(self, later: NotYet) -> None:
        """Let the time pass that the engine asked for, or until there may be room."""
        future = self.loop.create_future()
        if later.retry_s:
            timer = self.loop.call_later(later.retry_s, _wake, future)
            try:
                await future
            finally:
                timer.cancel()
        elif self._notifier.arm_room(later.room):
            self._roomless.append((later.room, future))
            await future
        else:
            await asyncio.sleep(0)

    def _tell_roomless(self) -> None:
        still, self._roomless = self._roomless, []
        for room, future in still:
            if future.done():
                continue
            if not self._retired and self._notifier.arm_room(room):
                self._roomless.append((room, future))
            else:
                future.set_result(None)

    # -- the end

    def forbid(self) -> None:
        """Refuse further calls: the store is being closed."""
        self.view._closed = True
        self.view._bind(NO_CALLS)
        self.view._close_inner()
        self.put, self.get = NO_CALLS.put, NO_CALLS.get

    def retire(self) -> None:
        """Let go of the descriptor as soon as nobody waits. A callback of the loop."""
        if not self._retired:
            self._retired = True
            self._signalled()

    def shut(self) -> None:
        """Let go of the descriptor."""
        self._shut = True
        if not self.loop.is_closed():
            self.loop.remove_reader(self._notifier.fd)
        self._notifier.close()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
