"""The handle of a write that was appended but not waited for."""

from __future__ import annotations

from shardkv._native import TicketBase


class Ticket(TicketBase):
    """A write that `Store.submit` appended. It becomes durable by itself; waiting is optional.

    Threads: any number may wait.
    """

    __slots__ = ()

    def done(self) -> bool:
        """Say whether the write is durable."""
        return bool(self._engine.durable_seqno() >= self.seqno)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the write is durable and return its seqno.

        Args: timeout: seconds; None waits for as long as it takes.
        Raises: TimeoutError (the write is still under way); PoisonedError (the outcome is unknown).
        Cost: at most one shared sync.
        """
        if not self._engine.wait(self.seqno, timeout):
            raise TimeoutError(
                f"the write with seqno {self.seqno} was not durable after {timeout} s"
            )
        return self.seqno

    def __repr__(self) -> str:
        return f"<shardkv.Ticket seqno={self.seqno}>"
