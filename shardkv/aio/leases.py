"""Leases for asyncio: as `shardkv.Lease`, awaited; who waits for one does not block the loop."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from shardkv import leases
from shardkv.aio.line import Line
from shardkv.aio.surface import Surface, reading, writing
from shardkv.errors import LeaseLostError, LockTimeoutError
from shardkv.options import check_timeout


class Lease(Surface):
    """A lease that was granted by `Store.lease`; `async with` releases it at the end.

    Attributes:
        name, token, expires_at: as of `shardkv.Lease`.
    """

    def __init__(self, line: Line, lease: leases.Lease) -> None:
        self._home = line
        self._lease = lease
        self.name, self.token = lease.name, lease.token

    @property
    def expires_at(self) -> float:
        """Unix time in seconds at which it ends by itself."""
        return self._lease.expires_at

    def _line(self) -> Line:
        return self._home

    def _on(self, line: Line) -> leases.Lease:
        return self._lease

    renew = writing(leases.Lease.renew)
    release = writing(leases.Lease.release)
    held = reading(leases.Lease.held)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lease._released:
            return
        try:
            await self.release()
        except LeaseLostError:
            if kind is None:  # what the block raised says more
                raise

    def __repr__(self) -> str:
        return repr(self._lease).replace("shardkv.", "shardkv.aio.", 1)


async def take(line: Line, name: str, ttl: float, timeout: float | None) -> Lease:
    """Take a lease, waiting for as long as `timeout` says while somebody else has it."""
    if timeout is not None:
        timeout = check_timeout(timeout, "timeout")
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return Lease(line, await line.write(line.view.lease, name, ttl, timeout=0))
        except LockTimeoutError as error:
            left = leases.SLICE_S if end is None else end - time.monotonic()
            if left <= 0:
                error.args = (error.args[0].replace("for 0.0 s", f"for {timeout} s", 1),)
                raise
        await asyncio.sleep(min(left, leases.SLICE_S))
