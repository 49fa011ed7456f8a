"""Ordered scans that let other tasks run between blocks of rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from shardkv.aio.line import Line
from shardkv.scan import blocks

MOST_ROWS = 1024
Limits = tuple[bytes | None, bytes | None]


def rows(
    line: Line,
    engine: Any,
    snapshot: Any,
    limits: Limits,
    *,
    reverse: bool,
    limit: int | None,
    values: bool,
    make: Callable[[Any], Any] | None = None,
) -> AsyncIterator[Any]:
    """Begin a scan now and return the iterator over its rows, each made into something else on its way."""
    line.debt.seqno = 0
    found = blocks(
        engine,
        snapshot,
        limits,
        reverse=reverse,
        limit=limit,
        values=values,
        most_rows=MOST_ROWS,
    )
    return _rows(line, found, line.debt.seqno, make)


async def _rows(
    line: Line,
    found: Iterator[Iterable[Any]],
    owed: int,
    make: Callable[[Any], Any] | None,
) -> AsyncIterator[Any]:
    if owed:
        await line.durable(owed)
    for block in found:
        for row in block if make is None else map(make, block):
            yield row
        await asyncio.sleep(0)
