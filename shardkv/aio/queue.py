"""What the tasks of one loop wait for, and the one descriptor that tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from shardkv._native import Notifier, NotYet, Unwaiting, Wait, Waits


class Queue:
    """Those who wait for durability, for what is still to come, for room, or for peers. The loop's thread alone.

    Attributes:
        waiting: who waits, in the order of arrival; served from the front, so that one arming is enough.
        armed: a signal will come that serves the front of `waiting`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Unwaiting) -> None:
        self.loop = loop
        self.waiting = Waits(loop, Wait)
        self.armed = False
        self._watching: dict[int, set[asyncio.Future[None]]] = {}
        self._roomless: list[tuple[int, Callable[[], None]]] = []
        self._retired = self._shut = False
        self._notifier = Notifier(engine)
        loop.add_reader(self._notifier.fd, self._signalled)

    # -- durability

    def arm(self) -> None:
        """See to it that a signal comes for whoever waits for the least."""
        least = [*self._watching]
        if self.waiting:
            least.append(self.waiting.first)
        if not self._notifier.arm(min(least)):
            self.loop.call_soon(self._signalled)
        self.armed = bool(self.waiting)

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
        if seqno in self._watching:
            self._watching[seqno].add(future)
        else:
            self._watching[seqno] = {future}
            self.arm()
        return future

    def unwatch(self, seqno: int, future: asyncio.Future[None]) -> None:
        """Forget what `watch` returned."""
        those = self._watching.get(seqno, set())
        those.discard(future)
        if not those:
            self._watching.pop(seqno, None)

    def _signalled(self) -> None:
        if self._shut:
            return
        try:
            durable = self._notifier.read()
            self.waiting.resolve(durable)
            if not self._shut:
                self._look_ahead(durable)
        except (KeyboardInterrupt, SystemExit):  # of a task, or here: the loop may go on
            self.armed = False
            self.loop.call_soon(self._signalled)
            raise

    def _look_ahead(self, durable: int) -> None:
        """After those who were served: wait for the next signal, or end it."""
        over = self._retired or self._notifier.failure() is not None
        for due in [seqno for seqno in self._watching if over or seqno <= durable]:
            for future in self._watching.pop(due):
                _wake(future)
        if self._notifier.failure() is not None:
            self._give_up()
        elif self.waiting or self._watching:
            self.arm()
        else:
            self.armed = False
        self._tell_roomless()
        self.leave()

    def _give_up(self) -> None:
        """Nothing more will become durable: everybody is told now, and whoever comes later."""
        self.armed = False
        while self.waiting:
            failure = self._notifier.failure()
            assert failure is not None
            self.waiting.pop().fail(failure)

    # -- room

    async def pause(self, later: NotYet) -> None:
        """Let the time pass that the engine asked for, or until there may be room."""
        future = self.loop.create_future()
        if later.retry_s:
            timer = self.loop.call_later(later.retry_s, _wake, future)
            try:
                await future
            finally:
                timer.cancel()
        else:
            self.when_room(later.room, partial(_wake, future))
            await future

    def when_room(self, room: int, tell: Callable[[], None]) -> None:
        """Call back once, when there may be room, or a peer has more, since `room` was read; or at the end."""
        if self._notifier.arm_room(room):
            self._roomless.append((room, tell))
        else:
            self.loop.call_soon(tell)

    def _tell_roomless(self) -> None:
        still, self._roomless = self._roomless, []
        for room, tell in still:
            if not self._retired and self._notifier.arm_room(room):
                self._roomless.append((room, tell))
            else:
                tell()

    # -- the end

    def retire(self) -> None:
        """Let go of the descriptor as soon as nobody waits. A callback of the loop."""
        if not self._retired:
            self._retired = True
            self._signalled()

    def is_over(self) -> bool:
        """Say whether no further signals come."""
        return self._notifier.failure() is not None

    def is_awaited(self) -> bool:
        """Say whether somebody waits who has to be told, however late."""
        return bool(self.waiting)

    def leave(self) -> None:
        """Let go of the descriptor when nobody needs it any more."""
        if self._retired and not self._shut and not self.is_awaited():
            self.shut()

    def shut(self) -> None:
        """Let go of the descriptor."""
        self._shut = True
        if not self.loop.is_closed():
            self.loop.remove_reader(self._notifier.fd)
        self._notifier.close()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
