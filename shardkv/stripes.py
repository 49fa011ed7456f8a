"""The stripes behind key locks: who holds each, and who stands in line for it.

One table for each open directory of the process. A stripe that is let go belongs to the first in line before anybody
else can ask for it, so nobody overtakes; the line is the order in which they came.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import xxhash

from shardkv.errors import LockOwnerError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Waiter:
    """One request for one stripe. Subclasses say how whoever made it is woken."""

    def __init__(self, owner: object, loop: AbstractEventLoop | None) -> None:
        self.owner = owner
        self.loop = loop
        self.granted = False

    def wake(self) -> bool:
        """Tell that the stripe was granted; False when nobody is there to hear it."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """A thread that blocks. Ctrl-C ends the wait."""

    def __init__(self, owner: object, loop: AbstractEventLoop | None) -> None:
        super().__init__(owner, loop)
        self._bell = threading.Lock()
        self._bell.acquire()

    def wake(self) -> bool:
        """Let the thread go on."""
        self._bell.release()
        return True

    def wait(self, timeout: float | None) -> None:
        """Block until woken, or until the time is over."""
        self._bell.acquire(timeout=-1 if timeout is None else timeout)


class TaskWaiter(Waiter):
    """A task that waits without blocking its event loop."""

    def __init__(self, owner: object, loop: AbstractEventLoop) -> None:
        super().__init__(owner, loop)
        self._loop = loop
        self._bell = loop.create_future()

    def wake(self) -> bool:
        """Let the task go on; a loop that was closed meanwhile has none."""
        try:
            self._loop.call_soon_threadsafe(self._ring)
        except RuntimeError:
            return False
        return True

    async def wait(self, timeout: float | None) -> None:
        """Suspend until woken, or until the time is over."""
        if timeout is None:
            await self._bell
            return
        alarm = self._loop.call_later(timeout, self._ring)
        try:
            await self._bell
        finally:
            alarm.cancel()

    def _ring(self) -> None:
        if not self._bell.done():
            self._bell.set_result(None)


class Stripe:
    """A stripe that is held: by whom, how many times over, and who comes next. A free one takes no memory."""

    __slots__ = ("depth", "line", "owner")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.depth = 1
        self.line: deque[Waiter] = deque()


class Stripes:
    """The key locks of one store, shared by all that have it open in this process.

    Threads: every method may be called from any thread; none waits for a stripe.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        # Re-entrant: the collector may end a generator here that gives back a lock. What is made is made outside.
        self._guard = threading.RLock()
        self._held: dict[int, Stripe] = {}

    def number_of(self, key: bytes) -> int:
        """Return the stripe that a key belongs to."""
        return xxhash.xxh64_intdigest(key) % self.count

    def ask(self, number: int, waiter: Waiter, *, may_wait: bool) -> bool:
        """Take a stripe; when somebody else has it, stand in line if `may_wait`. Say whether it was taken.

        Raises: LockOwnerError when a thread would block the very loop that has to run before it gets the stripe.
        """
        fresh = Stripe(waiter.owner)
        with self._guard:
            if may_wait and isinstance(waiter, ThreadWaiter):
                refuse_standstill(self._held.get(number), waiter)
            # No call from here until it is done: neither Ctrl-C nor the collector comes in between.
            if number not in self._held:
                waiter.granted = True
                self._held[number] = fresh
            elif (stripe := self._held[number]).owner is waiter.owner:
                waiter.granted = True
                stripe.depth += 1
            elif may_wait:
                stripe.line.append(waiter)
            return waiter.granted

    def withdraw(self, number: int, waiter: Waiter) -> None:
        """Undo `ask`, whatever became of it: leave the line, or give back what was granted."""
        with self._guard:
            stripe = self._held.get(number)
            if waiter.granted and stripe is not None:
                self._give(number, stripe)
            elif stripe is not None and waiter in stripe.line:
                stripe.line.remove(waiter)
            waiter.granted = False

    def give(self, numbers: Sequence[int], owner: object) -> None:
        """Give stripes back once; the last time hands each to the first in line.

        Raises: LockOwnerError when somebody else holds one, or nobody; then none is given back.
        """
        with self._guard:
            stripes = [self._held.get(number) for number in numbers]
            for number, stripe in zip(numbers, stripes, strict=True):
                if stripe is None or stripe.owner is not owner:
                    holder = "nobody" if stripe is None else repr(stripe.owner)
                    raise LockOwnerError(
                        f"{holder} holds the lock, stripe {number}; {owner!r} cannot release it"
                    )
            for number in reversed(numbers):
                self._give(number, self._held[number])

    def _give(self, number: int, stripe: Stripe) -> None:
        stripe.depth -= 1
        while stripe.depth == 0:
            if not stripe.line:
                del self._held[number]
                return
            waiter = stripe.line.popleft()
            # Owner before bell: who wakes up finds the stripe its own, and nobody found it free in between.
            stripe.owner, stripe.depth, waiter.granted = waiter.owner, 1, True
            if not waiter.wake():
                stripe.depth, waiter.granted = 0, False

    def forked(self) -> None:
        """In a forked child: nobody else lives here, and what a thread was about to do is not finished."""
        self._guard = threading.RLock()
        for stripe in self._held.values():
            stripe.line.clear()

    def holder(self, number: int) -> object:
        """Return who holds a stripe; None: nobody."""
        stripe = self._held.get(number)
        return None if stripe is None else stripe.owner

    def held(self) -> int:
        """Return how many stripes are held."""
        return len(self._held)

    def waiting(self, number: int) -> int:
        """Return how many stand in line for a stripe."""
        with self._guard:
            stripe = self._held.get(number)
            return 0 if stripe is None else len(stripe.line)


def refuse_standstill(stripe: Stripe | None, thread: ThreadWaiter) -> None:
    """Raise when a thread that runs an event loop would block for a task of it."""
    if stripe is None or thread.loop is None or stripe.owner is thread.owner:
        return
    parties = (stripe.owner, *(waiter.owner for waiter in stripe.line))
    if any(loop_of(party) is thread.loop for party in parties):
        raise LockOwnerError(
            "a task of this event loop holds the lock, or is in line for it, and cannot go on while the loop is "
            "blocked: use `async with`"
        )


def loop_of(party: object) -> object:
    """Return the event loop of a task; None for a thread."""
    get_loop = getattr(party, "get_loop", None)
    return None if get_loop is None else get_loop()


def running_loop() -> AbstractEventLoop | None:
    """Return the event loop that this thread runs. Who never imported asyncio has none, and need not import it."""
    asyncio: Any = sys.modules.get("asyncio.events")
    # Another thread may be in the midst of importing it; then nothing of it runs here.
    ask = getattr(asyncio, "_get_running_loop", None)
    return None if ask is None else ask()


def current_owner(loop: AbstractEventLoop | None) -> object:
    """Return what holds a lock taken here: the running task, else the thread."""
    task = None
    if loop is not None:
        import asyncio

        task = asyncio.current_task(loop)
    return threading.current_thread() if task is None else task
