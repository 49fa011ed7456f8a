"""Ordered scans that let other tasks run between blocks of rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from shardkv.aio.line import Line
from shardkv.scan import blocks

MOST_ROWS = 1024


def rows(
    line: Line,
    snapshot: Any,
    limits: tuple[bytes | None, bytes | None],
    *,
    reverse: bool,
    limit: int | None,
    values: bool,
) -> AsyncIterator[Any]:
    """Begin a scan now and return the iterator over its rows."""
    engine: Any = line.engine
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
    return _rows(line, found, line.debt.seqno)


async def _rows(line: Line, found: Iterator[Iterable[Any]], owed: int) -> AsyncIterator[Any]:
    if owed:
        await line.durable(owed)
    for block in found:
        for row in block:
            yield row
        await asyncio.sleep(0)
