"""Single flight: of many tasks that want the same missing value, one makes it and the others wait for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from shardkv.errors import LockOwnerError

Task = asyncio.Task[Any] | None


class Flight:
    """A value that is being made: by which task; the future is done when it is made, cancelled when it failed."""

    def __init__(self, owner: Task) -> None:
        self.owner = owner
        self.landed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Flights:
    """The values that the tasks of one loop are making."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}
        self._waiting: dict[Task, Flight] = {}

    async def fly(self, key: bytes, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `make` returns, here or in the task that is at it. When that one fails, the next tries itself.

        Raises: what `make` raises; LockOwnerError when this task would wait for itself.
        """
        me = asyncio.current_task()
        while (flight := self._flights.get(key)) is not None:
            self._refuse_circle(flight, me)
            self._waiting[me] = flight
            try:
                await asyncio.wait([flight.landed])
            finally:
                del self._waiting[me]
            if not flight.landed.cancelled():
                return flight.landed.result()
        flight = self._flights[key] = Flight(me)
        try:
            flight.landed.set_result(await make())
        finally:
            del self._flights[key]
            flight.landed.cancel()
        return flight.landed.result()

    def _refuse_circle(self, flight: Flight, me: Task) -> None:
        owner = flight.owner
        while owner is not me and owner in self._waiting:
            owner = self._waiting[owner].owner
        if owner is me:
            raise LockOwnerError(
                "this task is already making the value of the key, or one that waits for it: it would wait for itself"
            )


async def made(fn: Callable[[], Any]) -> Any:
    """Call a function, and await what it returns if that is awaitable."""
    value = fn()
    return await value if isawaitable(value) else value
