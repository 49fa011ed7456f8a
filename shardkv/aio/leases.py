"""Leases for asyncio: as `shardkv.Lease`, awaited; who waits for one does not block the loop."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from shardkv import leases
from shardkv.aio.line import Line
from shardkv.aio.surface import Surface, reading, writing
from shardkv.errors import AckError, Error, LeaseLostError


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
    deadline = leases.deadline_of(timeout)
    granted: list[leases.Lease] = []

    def ask() -> float:
        lease, holder_s = line.view._ask_for_lease(name, ttl)
        if lease is not None:
            granted.append(lease)
        return holder_s

    while True:
        try:
            holder_s = await line.write(ask)
        except (asyncio.CancelledError, AckError):
            for lease in granted:  # else nobody had it until it ends
                with contextlib.suppress(Error):
                    await line.write(lease.release)
            raise
        if granted:
            return Lease(line, granted[0])
        await asyncio.sleep(leases.patience(name, deadline, holder_s))
