"""When to go on: rates, rests between pieces of work, delays that grow, and how long to wait for who gets on.

Each takes the clock and the wait that it goes by, so that a test needs no time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shardkv.options import check_int

Clock = Callable[[], float]
Wait = Callable[[float], object]

PIECES_PER_S = 8
PIECE_BYTES_MAX = 8 << 20
REST_SHARE, REST_S_MAX = 2.0, 1.0
DELAY_S, DELAY_S_MAX = 0.25, 30.0


class Pace:
    """An upper bound of bytes per second: who was quick rests, who was slow has no credit."""

    def __init__(
        self, max_bytes_per_s: int | None, *, clock: Clock = time.monotonic, wait: Wait = time.sleep
    ) -> None:
        if max_bytes_per_s is not None:
            check_int("max_bytes_per_s", max_bytes_per_s, 1 << 50, least=1)
        self._rate = max_bytes_per_s
        self._clock, self._wait = clock, wait
        self._due = clock()
        self._done = 0

    @property
    def piece_bytes(self) -> int:
        """How much to read or write at once; 0: whatever is best."""
        return 0 if self._rate is None else min(self._rate // PIECES_PER_S + 1, PIECE_BYTES_MAX)

    def rest(self, done: int) -> None:
        """Wait until so many bytes in all may have been read or written."""
        if self._rate is None:
            return
        now = self._clock()
        self._due = max(self._due + (done - self._done) / self._rate, now)
        self._done = done
        self._wait(self._due - now)


class Rests:
    """Rests between the pieces of a copy that nobody gave a rate: twice as long as the piece took, a second at most.

    Who is alone does not rest: a piece during which the store was not written to is followed by the next one at once.
    So the copy takes at most a third of the time beside writers, on any disk, and always ends.
    """

    def __init__(self, newest: Callable[[], int], *, clock: Clock, wait: Wait) -> None:
        """Args: newest: the store's newest seqno."""
        self._newest, self._clock, self._wait = newest, clock, wait
        self._began, self._seen = clock(), newest()

    def rest(self) -> None:
        """After a piece."""
        took, seen = self._clock() - self._began, self._newest()
        if seen != self._seen:
            self._wait(min(REST_SHARE * took, REST_S_MAX))
        self._began, self._seen = self._clock(), self._newest()


class Delays:
    """Delays between attempts: each failure in a row doubles them, from a quarter of a second to half a minute."""

    def __init__(self) -> None:
        self._next = DELAY_S

    def next(self, *, well: bool) -> float:
        """Return the seconds to wait now. Args: well: what has just ended had gone well for long: begin anew."""
        if well:
            self._next = DELAY_S
        delay, self._next = self._next, min(2 * self._next, DELAY_S_MAX)
        return delay


class Patience:
    """Waits for somebody as long as he gets on."""

    def __init__(self, still_s: float, *, clock: Clock) -> None:
        self._still_s, self._clock = still_s, clock
        self._seen: object = None
        self._moved = clock()

    def lasts(self, seen: object) -> bool:
        """Say whether to wait on. Args: seen: how far he is; the same for `still_s` seconds: he stands still."""
        now = self._clock()
        if seen != self._seen:
            self._seen, self._moved = seen, now
        return now - self._moved < self._still_s
