"""Single flight: of many threads that want the same missing value, one makes it and the others wait for that."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from shardkv.errors import LockOwnerError


class Flight:
    """A value that is being made: by which thread, and who waits for it, in the order in which they came."""

    __slots__ = ("owner", "value", "waiters")

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.waiters: deque[tuple[int, threading.Lock]] = deque()
        self.value: bytes | None = None


class Flights:
    """The values of one store that are being made. No lock is held while one is made.

    Threads: any.
    """

    def __init__(self) -> None:
        # Re-entrant: the collector may call back into the store here. What is made is made outside.
        self._guard = threading.RLock()
        self._flights: dict[bytes, Flight] = {}
        self._waiting: dict[int, Flight] = {}

    def fly(self, key: bytes, make: Callable[[], bytes]) -> bytes:
        """Return what `make` returns, here or in the thread that is at it. When that one fails, the next tries itself.

        Raises: what `make` raises; LockOwnerError when this thread would wait for itself.
        """
        me = threading.get_ident()
        flight = fresh = Flight(me)
        try:
            flight = self._board(key, fresh)
            if flight.value is None:
                flight.value = make()
            return flight.value
        finally:
            if flight.owner == me and key in self._flights and self._flights[key] is flight:
                self._land(key, flight)

    def _board(self, key: bytes, fresh: Flight) -> Flight:
        """Return the flight: landed, or with this thread, `fresh.owner`, as its owner."""
        me, turn = fresh.owner, threading.Lock()
        turn.acquire()
        waiter = me, turn
        with ExitStack() as undo:
            with self._guard:
                flight = self._flights.setdefault(key, fresh)
                if flight is fresh:
                    return flight
                self._refuse_circle(flight, me)
                undo.callback(self._give_up, key, flight, waiter)
                flight.waiters.append(waiter)
                self._waiting[me] = flight
            turn.acquire()  # only Ctrl-C ends this wait before its time
            undo.pop_all()
        return flight

    def _refuse_circle(self, flight: Flight, me: int) -> None:
        owner: int | None = flight.owner
        while owner is not None and owner != me:
            next_flight = self._waiting.get(owner)
            owner = None if next_flight is None else next_flight.owner
        if owner == me:
            raise LockOwnerError(
                "this thread is already making the value of the key, or one that waits for it: it would wait for itself"
            )

    def _land(self, key: bytes, flight: Flight) -> None:
        """Wake all with the value, or one who makes it."""
        with self._guard:
            while flight.waiters:
                waiter, turn = flight.waiters.popleft()
                self._waiting.pop(waiter, None)
                turn.release()
                if flight.value is None:
                    flight.owner = waiter
                    return
            del self._flights[key]

    def _give_up(self, key: bytes, flight: Flight, waiter: tuple[int, threading.Lock]) -> None:
        with self._guard:
            waits = waiter in flight.waiters
            if waits:
                flight.waiters.remove(waiter)
                self._waiting.pop(waiter[0], None)
        if not waits and flight.value is None and flight.owner == waiter[0]:
            self._land(key, flight)  # it was this thread's turn
