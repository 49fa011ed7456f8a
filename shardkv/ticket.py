"""The handle of a write that was appended but not waited for."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from shardkv._native import ALL, DISK, QUORUM, TicketBase
from shardkv.options import check_wait


class Ticket(TicketBase):
    """A write that `Store.submit` appended. It becomes durable by itself; waiting is optional.

    One of a store with the ack level "quorum" or "all" waits for that.

    Threads: any number may wait.
    """

    __slots__ = ()
    _level: ClassVar[int] = DISK

    def done(self) -> bool:
        """Say whether the write is durable."""
        return bool(self._engine.reached(self._level) >= self.seqno)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the write is durable and return its seqno.

        Args: timeout: seconds; None waits for as long as it takes.
        Raises: TimeoutError (the write is still under way); PoisonedError (the outcome is unknown); AckError (it is
            durable here, but its level was not reached in that time, or cannot be).
        Cost: at most one shared sync.
        """
        timeout = check_wait(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        if not self._engine.wait(self.seqno, timeout):
            raise TimeoutError(
                f"the write with seqno {self.seqno} was not durable after {timeout} s"
            )
        if self._level > DISK:
            left = 1e9 if end is None else max(0.0, end - time.monotonic())
            self._engine.reach(self.seqno, self._level, left)
        return self.seqno

    def __repr__(self) -> str:
        return f"<shardkv.Ticket seqno={self.seqno}>"


class QuorumTicket(Ticket):
    """A ticket of a store with ack="quorum"."""

    __slots__ = ()
    _level = QUORUM


class AllTicket(Ticket):
    """A ticket of a store with ack="all"."""

    __slots__ = ()
    _level = ALL


TICKETS: Final[dict[int, type[Ticket]]] = {QUORUM: QuorumTicket, ALL: AllTicket}
