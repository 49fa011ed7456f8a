"""Numbers of inserted records: readable once acknowledged, and all lower ones too."""

from __future__ import annotations

import itertools
import threading

WINDOW = 1 << 20  #: inserts that may be under way behind the oldest one
MASK = WINDOW - 1


class InsertWindow:
    """YCSB's acknowledged counter. Many threads may call every method.

    Args:
        records: how many records there are; the next insert has this number.
    """

    def __init__(self, records: int) -> None:
        #: The newest record that may be read.
        self.last = records - 1
        #: Take the number of the next insert.
        self.take = itertools.count(records).__next__
        self._done = bytearray(WINDOW)
        self._moving = threading.Lock()

    def acknowledge(self, number: int) -> None:
        """Tell that the insert of record `number` returned.

        Raises:
            RuntimeError: when an older insert is not acknowledged since WINDOW inserts.
        """
        if number - self.last > WINDOW:
            raise RuntimeError(f"{WINDOW} inserts wait for one that is not acknowledged")
        self._done[number & MASK] = 1
        # Who finds the lock taken leaves the rest to the holder, or to the next insert.
        if self._moving.acquire(blocking=False):
            try:
                last = self.last
                while self._done[(last + 1) & MASK]:
                    last += 1
                    self._done[last & MASK] = 0
                self.last = last
            finally:
                self._moving.release()
