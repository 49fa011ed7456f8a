"""Key locks: for a program's own read-modify-write, from threads and from asyncio tasks.

The engine takes none of them: a plain put needs no lock, and goes on under one that somebody holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from shardkv._native import as_bytes
from shardkv.errors import ForkedError, LockOwnerError, LockTimeoutError
from shardkv.opened import Opened
from shardkv.options import check_timeout
from shardkv.stripes import (
    Stripes,
    TaskWaiter,
    ThreadWaiter,
    Waiter,
    current_owner,
    running_loop,
)


class KeyLock:
    """The lock of one key or several: `with lock`, `async with lock`, or acquire and release.

    It is held by the thread, or by the asyncio task, that took it; that one may take it again, and then releases it as
    often. Waiters get it in the order in which they came. Keys that share a stripe share a lock. Who takes locks one
    inside the other can meet somebody who does it the other way round: take them together, with `Store.locks`.

    Threads: any number may use one KeyLock.
    """

    def __init__(
        self, stripes: Stripes, keys: list[bytes], timeout: float | None, check: Callable[[], Any]
    ) -> None:
        self._stripes = stripes
        # Everybody takes several in rising order, so no two can wait for each other.
        self._numbers = sorted({stripes.number_of(key) for key in keys})
        self._timeout = timeout
        self._check = check
        self._inside: list[object] = []  # who is in a block, or about to enter it

    def acquire(self) -> None:
        """Take the lock; block while somebody else has it.

        Raises: LockTimeoutError (none of the keys is locked then); LockOwnerError (a task of this thread's event loop
            has it: use `async with`); ClosedError; ForkedError. Ctrl-C ends the wait.
        """
        self._check()
        loop = running_loop()
        owner, deadline = current_owner(loop), self._deadline()
        asked = [(number, ThreadWaiter(owner, loop)) for number in self._numbers]
        held = False
        try:  # nothing is called after the last grant, where a Ctrl-C would be raised
            for number, waiter in asked:
                if not self._stripes.ask(number, waiter, may_wait=self._timeout != 0):
                    waiter.wait(left(deadline))
                    self._granted(waiter)
            held = True
        finally:
            if not held:
                self._withdraw(asked)

    async def acquire_async(self) -> None:
        """Take the lock; suspend the task, not the event loop, while somebody else has it.

        A cancelled task leaves the line, or hands on what it was just granted.

        Raises: as acquire.
        """
        self._check()
        loop = running_loop()
        if loop is None:
            raise LockOwnerError("no asyncio event loop runs here: use `with`, or acquire")
        owner, deadline = current_owner(loop), self._deadline()
        asked = [(number, TaskWaiter(owner, loop)) for number in self._numbers]
        held = False
        try:
            for number, waiter in asked:
                if not self._stripes.ask(number, waiter, may_wait=self._timeout != 0):
                    await waiter.wait(left(deadline))
                    self._granted(waiter)
            held = True
        finally:
            if not held:
                self._withdraw(asked)

    def release(self) -> None:
        """Give the lock back once.

        Raises: LockOwnerError when another thread or task holds it, or nobody.
        """
        self._stripes.give(self._numbers, current_owner(running_loop()))

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _granted(self, waiter: Waiter) -> None:
        if not waiter.granted:
            raise LockTimeoutError(f"somebody else held the lock for {self._timeout} s")

    def _withdraw(self, asked: Iterable[tuple[int, Waiter]]) -> None:
        for number, waiter in asked:
            self._stripes.withdraw(number, waiter)

    def __enter__(self) -> Self:
        owner, held = self._enter(), False
        try:
            self.acquire()
            held = True
        finally:
            if not held:
                self._inside.remove(owner)
        return self

    def __exit__(self, *raised: object) -> None:
        self._leave()

    async def __aenter__(self) -> Self:
        owner, held = self._enter(), False
        try:
            await self.acquire_async()
            held = True
        finally:
            if not held:
                self._inside.remove(owner)
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._leave()

    def _enter(self) -> object:
        owner = current_owner(running_loop())
        self._inside.append(owner)
        return owner

    def _leave(self) -> None:
        """Give the lock back at the end of a block: that of a generator may be ended by another task, or thread."""
        owner = current_owner(running_loop())
        if owner not in self._inside:
            holder = self._stripes.holder(self._numbers[0]) if self._numbers else None
            owner = holder if holder in self._inside else owner
        if owner in self._inside:
            self._inside.remove(owner)
        self._stripes.give(self._numbers, owner)

    def __repr__(self) -> str:
        return f"<shardkv.KeyLock of {len(self._numbers)} stripes>"


def left(deadline: float | None) -> float | None:
    """Return the seconds until a deadline."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


class KeyLocking(Opened):
    """What a store has of key locks."""

    def lock(self, key: bytes, timeout: float | None = None) -> KeyLock:
        """Return the lock of a key, present or not: `with store.lock(key):`, or `async with`.

        All who have the directory open in this process exclude each other; other processes cannot have it open.

        Args: timeout: seconds to wait; None for as long as it takes, 0 not at all.
        Raises: TypeError, InvalidError (timeout), ClosedError. Taking it: as `KeyLock.acquire`.
        """
        return self.locks((key,), timeout)

    def locks(self, keys: Iterable[bytes], timeout: float | None = None) -> KeyLock:
        """Return one lock for several keys, in any order: two who want the same ones cannot wait for each other.

        Args, Raises: as lock.
        """
        self._unforked()
        if timeout is not None:
            timeout = check_timeout(timeout, "timeout")
        given = [as_bytes(key, "key") for key in keys]
        return KeyLock(self._shared.stripes, given, timeout, self._unforked)

    def _unforked(self) -> None:
        self._live()
        if self._shared.forked:
            raise ForkedError("the store belongs to the parent process; open it again in the child")
