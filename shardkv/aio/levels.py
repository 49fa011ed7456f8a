"""Ack levels that peers have a part in: who waits for one on one event loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

from shardkv._native import NotYet
from shardkv.errors import Error

if TYPE_CHECKING:
    from shardkv.aio.line import Line

POLL_S = 0.05


class Level:
    """The tasks of one loop that wait for one level. When something happens to a peer, one pass tells all that are due.

    Attributes:
        waiting: a heap: the smallest seqno is in front, those of one seqno in the order of arrival.
    """

    def __init__(self, line: Line, level: int) -> None:
        self.waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._line = line
        self._engine = line.engine
        self._level = level
        self._turns = itertools.count()
        self._asked = False  # somebody will call `_serve`

    async def reach(self, seqno: int, timeout: float | None) -> None:
        """Wait until seqno, which is durable here, has reached the level.

        Raises: AckError: after `timeout` seconds, or as soon as it is sure, it has not; ClosedError.
        """
        if self._engine.reached(self._level) >= seqno:
            return
        future: asyncio.Future[None] = self._line.loop.create_future()
        heapq.heappush(self.waiting, (seqno, next(self._turns), future))
        if not self._asked:
            self._serve()
        try:
            async with asyncio.timeout(timeout) as limit:
                await future
        except TimeoutError:
            if not limit.expired():
                raise
            try:
                self._engine.see_ack(seqno, self._level)
            except NotYet as late:
                raise late.why from None
        finally:
            self._drop()

    def _serve(self) -> None:
        """Tell those that are due, or wait in vain; see to it that this is called again while somebody is left."""
        self._asked = False
        reached = self._engine.reached(self._level)
        while self.waiting:
            seqno, _, future = self.waiting[0]
            if seqno > reached and not future.done():
                try:
                    self._engine.see_ack(seqno, self._level)
                except NotYet as later:
                    self._ask(later)
                    return
                except Error as error:
                    future.set_exception(error)
            heapq.heappop(self.waiting)
            if not future.done():
                future.set_result(None)
        self._line.leave()

    def _ask(self, later: NotYet) -> None:
        self._asked = True
        if (
            self._line.is_over()
        ):  # no signal comes any more, but what is durable may still reach a peer
            self._line.loop.call_later(POLL_S, self._serve)
        else:
            self._line.when_room(later.room, self._serve)

    def _drop(self) -> None:
        """Forget those in front that gave up."""
        while self.waiting and self.waiting[0][2].done():
            heapq.heappop(self.waiting)
