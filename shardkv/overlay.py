"""Own writes over the rows of a snapshot, in key order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import gt, itemgetter, lt
from typing import Any

Limits = tuple[bytes | None, bytes | None]
Write = tuple[bytes, int] | None  # value and ttl in ms; None: a delete


def own_rows(
    writes: Mapping[bytes, Write], limits: Limits, *, reverse: bool
) -> list[tuple[bytes, bytes | None]]:
    """Return the writes inside the limits, in the order of a scan; None stands for a delete."""
    start, stop = limits
    found = [
        (key, write and write[0])
        for key, write in writes.items()
        if (start is None or key >= start) and (stop is None or key < stop)
    ]
    return sorted(found, key=itemgetter(0), reverse=reverse)


def merge(
    rows: Iterable[tuple[bytes, Any]], own: Iterable[tuple[bytes, bytes | None]], *, reverse: bool
) -> Iterator[tuple[bytes, Any]]:
    """Yield rows and own writes in order; an own write stands for a row of its key, a delete for nothing."""
    comes_first = gt if reverse else lt
    left = iter(rows)
    row = next(left, None)
    for key, value in own:
        while row is not None and comes_first(row[0], key):
            yield row
            row = next(left, None)
        if row is not None and row[0] == key:
            row = next(left, None)
        if value is not None:
            yield key, value
    if row is not None:
        yield row
    yield from left
