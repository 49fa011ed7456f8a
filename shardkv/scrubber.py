"""The child process of a scrub: verifies the shards of a store that may be open, and says what it finds."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable

from shardkv._native import Scrub, ShardSum
from shardkv.children import say, told
from shardkv.errors import Error
from shardkv.pacing import Clock, Pace

PIECE_BYTES = 1 << 20
HOLD_S = 30.0  # what a flush sets free meanwhile is not used again: the shard's file grows


class Scrubber:
    """The reading of one store's shards, at a pace.

    Args: alone: whether whoever wants to know is gone.
    """

    def __init__(
        self,
        work: Scrub,
        pace: Pace,
        alone: Callable[[], bool],
        clock: Clock = time.monotonic,
    ) -> None:
        self._work, self._pace, self._alone, self._clock = work, pace, alone, clock
        self._done = 0

    def shard(self, number: int) -> ShardSum:
        """Verify one shard, and say what is found on the way."""
        self._work.begin(number)
        held, before = self._clock(), ShardSum(0, 0, 0, 0, False)
        while not self._alone():
            piece = self._work.next(self._pace.piece_bytes or PIECE_BYTES)
            now = piece.sum
            findings = [told(error) for error in piece.findings]
            say(
                bytes=now.bytes - before.bytes,
                records=now.records - before.records,
                findings=findings,
                more=piece.total - len(findings),
            )
            if piece.ended:
                return now
            if self._clock() - held >= HOLD_S:
                self._work.rest()
                held = self._clock()
            self._done += now.bytes - before.bytes
            before = now
            self._pace.rest(self._done)
        sys.exit()


def scrub(path: str, first: int, bytes_per_s: int, parent: int) -> None:
    """Verify the shards from `first` on, for a parent that is alive."""
    try:
        with contextlib.closing(Scrub(path)) as work:
            say(shards=work.shards)
            scrubber = Scrubber(work, Pace(bytes_per_s or None), lambda: os.getppid() != parent)
            for shard in range(first, work.shards):
                say(sum=scrubber.shard(shard))
    except Error as error:
        say(error=told(error))


if __name__ == "__main__":
    scrub(sys.argv[1], *map(int, sys.argv[2:]))
