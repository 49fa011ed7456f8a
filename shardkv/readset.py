"""What a transaction has read: single keys, and ranges of keys as far as they were looked at."""

from __future__ import annotations

from collections.abc import Iterable

from shardkv.scan import empty

Range = tuple[bytes | None, bytes | None]


class RangeRead:
    """How far one scan was looked at."""

    def __init__(self, start: bytes | None, stop: bytes | None, *, reverse: bool) -> None:
        self._start = start
        self._stop = stop
        self._reverse = reverse
        self.last: bytes | None = None
        self.ended = False
        self.expires_ms = 0  # of the rows so far, the first to expire; 0: none does

    def range(self) -> Range | None:
        """Return the keys that were seen, or seen to be absent; None when there are none."""
        if self.ended:
            return None if empty((self._start, self._stop)) else (self._start, self._stop)
        if self.last is None:
            return None
        return (self.last, self._stop) if self._reverse else (self._start, self.last + b"\0")


class ReadSet:
    """The reads that a commit has to prove: as they were in the snapshot, so they are still."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bool] = {}
        self._scans: list[RangeRead] = []

    def note(self, key: bytes, there: bool) -> None:
        """Remember that a key was there or not."""
        self._keys[key] = there

    def note_many(self, keys: Iterable[bytes], there: Iterable[bytes]) -> None:
        """Remember which of many keys were there."""
        self._keys.update(dict.fromkeys(keys, False))
        self._keys.update(dict.fromkeys(there, True))

    def note_scan(self, start: bytes | None, stop: bytes | None, *, reverse: bool) -> RangeRead:
        """Remember a scan; who scans says how far."""
        scan = RangeRead(start, stop, reverse=reverse)
        self._scans.append(scan)
        return scan

    def keys(self) -> list[bytes]:
        """Return the keys, in the order of `conditions`."""
        return list(self._keys)

    def conditions(self, seqno: int) -> list[tuple[bytes, int, int]]:
        """Say which versions each key may have: one that a snapshot at seqno knew, or none if it was absent."""
        return [(key, 1, seqno) if there else (key, 0, 0) for key, there in self._keys.items()]

    def ranges(self) -> list[Range]:
        """Return what the scans saw, in order; what meets is one range."""
        found = [scan.range() for scan in self._scans]
        joined: list[Range] = []
        for start, stop in sorted((r for r in found if r), key=lambda r: r[0] or b""):
            if joined and meets(joined[-1], start):
                before = joined.pop()
                start, stop = before[0], later(before[1], stop)
            joined.append((start, stop))
        return joined

    def expires_ms(self) -> int:
        """Return when the first key inside the ranges expires, in Unix milliseconds; 0: none does."""
        return min((scan.expires_ms for scan in self._scans if scan.expires_ms), default=0)


def meets(before: Range, start: bytes | None) -> bool:
    """Say whether a range reaches to where another one starts."""
    return before[1] is None or (start or b"") <= before[1]


def later(stop: bytes | None, other: bytes | None) -> bytes | None:
    """Return the later of two ends; None is open."""
    return None if stop is None or other is None else max(stop, other)
