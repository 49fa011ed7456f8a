"""What a store has of transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from shardkv.errors import ConflictError, InvalidError
from shardkv.opened import Opened
from shardkv.options import Ack
from shardkv.transaction import Transaction
from shardkv.work import Work

Result = TypeVar("Result")

RETRIES: Final = 20
FIRST_PAUSE_S: Final = 0.0005
LONGEST_PAUSE_S: Final = 0.1


class Transactions(Opened):
    """Transactions, and running a function in one until it commits."""

    def transaction(self, *, ack: Ack | None = None) -> Transaction:
        """Return a transaction for a `with` block.

        Raises: ConflictError at the end of the block, when something that was read has changed.
        Cost: a snapshot; the commit is one batch. Nothing is locked, and nobody waits for it.
        """
        return Transaction(self._work(ack), self._live())

    def _work(self, ack: Ack | None) -> Work:
        return Work(self._shared, self._live(), self._level(ack), self._timeout)

    def run_transaction(
        self, fn: Callable[[Transaction], Result], *, retries: int = RETRIES, ack: Ack | None = None
    ) -> Result:
        """Call `fn(transaction)` and commit; again, after a short random pause, when that meets a conflict.

        Args:
            fn: may be called often, so it should do nothing that cannot be done twice.
            retries: how often to try again.
        Returns: what `fn` returned.
        Raises: ConflictError when every try met one; what `fn` raises, at once.
        """
        check_retries(retries)
        for turn in range(retries + 1):
            work = self._work(ack)
            try:
                with Transaction(work, self._live()) as transaction:
                    return fn(transaction)
            except ConflictError:
                if not work.conflicted or turn == retries:
                    raise
            time.sleep(pause(turn))
        raise AssertionError("the last turn returns or raises")


def check_retries(retries: object) -> None:
    """Raise unless this is how often something can be tried again."""
    if not isinstance(retries, int) or isinstance(retries, bool):
        raise TypeError(f"retries must be an int, not {type(retries).__name__}")
    if retries < 0:
        raise InvalidError(f"retries is {retries}; it must be 0 or more")


def pause(turn: int) -> float:
    """Return seconds to wait before trying again: random, so that two who met do not meet again."""
    return random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**turn))
