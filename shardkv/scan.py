"""Ordered scans: bounds, and the iterator over blocks of rows that C hands over."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from shardkv import _native
from shardkv._native import Engine, as_bytes
from shardkv.errors import InvalidError

if TYPE_CHECKING:
    from shardkv.readset import RangeRead

FIRST_ROWS = 64
WHOLE_ROWS = 256  # a limit up to this is reached with one block
MOST_ROWS = 4096
BLOCK_BYTES = 256 << 10


def prefix_stop(prefix: bytes) -> bytes | None:
    """Return the first key after all that begin with `prefix`; None when there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


def bounds(
    start: bytes | None, stop: bytes | None, prefix: bytes | None
) -> tuple[bytes | None, bytes | None]:
    """Combine the three into one half-open range; an empty bytes start is open."""
    start = None if start is None else as_bytes(start, "start of a scan")
    stop = None if stop is None else as_bytes(stop, "stop of a scan")
    if prefix is not None:
        prefix = as_bytes(prefix, "prefix")
        end = prefix_stop(prefix)
        start = prefix if start is None else max(start, prefix)
        stop = end if stop is None else stop if end is None else min(stop, end)
    return start or None, stop


def empty(limits: tuple[bytes | None, bytes | None]) -> bool:
    """Say whether no key can lie within these bounds."""
    start, stop = limits
    return stop == b"" or (start is not None and stop is not None and start >= stop)


def check_limit(limit: object) -> None:
    """Raise unless this is a number of rows, or None for all."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise TypeError(f"limit must be an int, not {type(limit).__name__}")
    if limit is not None and limit < 0:
        raise InvalidError(f"limit is {limit}; it must be 0 or more")


class Turns(Iterator[Iterable[Any]]):
    """The blocks of one scan, for one thread at a time: when two come, both are told.

    What `chain` iterates over it lets go as soon as one is refused, also while the other is still inside.
    """

    def __init__(self, blocks: Iterator[Iterable[Any]]) -> None:
        self._blocks = blocks
        self._turn = threading.Lock()
        self._met = False

    def __next__(self) -> Iterable[Any]:
        if not self._turn.acquire(blocking=False):
            self._met = True
            raise self._refused()
        try:
            block = next(self._blocks)
        finally:
            self._turn.release()
        if self._met:
            raise self._refused()
        return block

    def _refused(self) -> InvalidError:
        return InvalidError("two threads took rows from one scan at once: it is for one at a time")


def rows(
    engine: Engine,
    snapshot: Any,
    limits: tuple[bytes | None, bytes | None],
    *,
    reverse: bool,
    limit: int | None,
    values: bool,
) -> Iterator[Any]:
    """Begin a scan now and return the iterator over its rows."""
    # Per row there is no Python frame: chain and zip run in C, and zip uses its tuple again.
    return chain.from_iterable(
        blocks(engine, snapshot, limits, reverse=reverse, limit=limit, values=values)
    )


def blocks(
    engine: Engine,
    snapshot: Any,
    limits: tuple[bytes | None, bytes | None],
    *,
    reverse: bool,
    limit: int | None,
    values: bool,
    most_rows: int = MOST_ROWS,
) -> Iterator[Iterable[Any]]:
    """Begin a scan now and return the iterator over blocks of its rows."""
    check_limit(limit)
    if limit == 0 or empty(limits):
        return iter(())
    flags = (_native.REVERSE if reverse else 0) | (0 if values else _native.KEYS_ONLY)
    width = 2 if values else 1
    if limit is not None and limit <= WHOLE_ROWS:
        first = engine.first_rows(snapshot, limits, flags | _native.ONLY, limit, BLOCK_BYTES)
    else:
        first = engine.first_rows(snapshot, limits, flags, FIRST_ROWS, BLOCK_BYTES)
    if first is None:
        scan = engine.open_scan(snapshot, *limits, flags)
        return Turns(_blocks(engine, scan, limit, width, most_rows))
    block, rest = first
    if rest is None:
        return iter((_rows_of(block, width),))
    left = None if limit is None else limit - len(block) // width
    return Turns(chain((_rows_of(block, width),), _blocks(engine, rest, left, width, most_rows)))


def watched_rows(
    engine: Engine,
    snapshot: Any,
    limits: tuple[bytes | None, bytes | None],
    read: RangeRead,
    *,
    reverse: bool,
    values: bool,
) -> Iterator[tuple[bytes, Any]]:
    """Begin a scan now; return pairs, of keys alone with None. `read` learns when the first of them expires."""
    if empty(limits):
        return iter(())
    flags = (_native.REVERSE if reverse else 0) | (0 if values else _native.KEYS_ONLY)
    scan = engine.open_scan(snapshot, *limits, flags)

    def blocks() -> Iterator[Iterable[tuple[bytes, Any]]]:
        for block in _blocks(engine, scan, None, 2 if values else 1, MOST_ROWS):
            read.expires_ms = _native.scan_expires(scan)
            yield block if values else zip(block, repeat(None))

    return chain.from_iterable(blocks())


def _rows_of(block: list[Any], width: int) -> Iterable[Any]:
    return block if width == 1 else zip(*[iter(block)] * 2, strict=True)


def _blocks(
    engine: Engine, scan: Any, limit: int | None, width: int, most_rows: int
) -> Iterator[Iterable[Any]]:
    most = FIRST_ROWS
    try:
        while limit is None or limit > 0:
            rows_max = most if limit is None else min(most, limit)
            block = engine.next_rows(scan, width, rows_max, BLOCK_BYTES)
            if block is None:
                return
            if limit is not None:
                limit -= len(block) // width
            yield _rows_of(block, width)
            most = min(2 * most, most_rows)
    finally:
        _native.release(scan)
