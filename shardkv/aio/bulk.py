"""Many keys at once, in chunks between which other tasks run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from shardkv import _native
from shardkv._native import NO_SNAPSHOT, after, pack
from shardkv.aio.line import Line
from shardkv.aio.scan import Limits, rows
from shardkv.bulk import next_chunk
from shardkv.snapshot import lookup_many

CHUNK_ITEMS = 1024
CHUNK_BYTES = 1 << 20

T = TypeVar("T")


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    todo = iter(items)
    while chunk := list(islice(todo, CHUNK_ITEMS)):
        yield chunk


async def put_many(
    line: Line, engine: Any, pairs: Iterable[tuple[bytes, bytes]], level: int, ttl_ms: int
) -> int:
    """Store pairs in chunks; wait for the ack once, at the end. Returns the last seqno."""
    later = _native.MEMORY if level == _native.MEMORY else _native.LATER
    seqno: int = engine.last_seqno()
    left, more, done = iter(pairs), True, 0
    while more:
        chunk, more = next_chunk(left, CHUNK_ITEMS, CHUNK_BYTES)
        todo = [chunk] if chunk else []
        while todo:
            part = todo.pop()
            with after(done):
                blob = pack(part)
                if len(blob) > CHUNK_BYTES and len(part) > 1:
                    todo += [part[len(part) // 2 :], part[: len(part) // 2]]
                    continue
                seqno = await line.write(engine.apply, blob, later, 0, ttl_ms, puts_only=True)
            done += len(part)
            await asyncio.sleep(0)
    if level != _native.MEMORY:
        await line.acked(seqno, level)
    return seqno


async def delete_many(line: Line, engine: Any, keys: Iterable[bytes], level: int) -> int:
    """Delete keys in chunks; return how many were there."""
    tally, done = [0], 0
    for chunk in _chunks(keys):
        with after(done):
            await line.write(engine.delete_some, pack(chunk), level, tally)
        done += len(chunk)
        await asyncio.sleep(0)
    return tally[0]


async def get_many(
    line: Line, engine: Any, snapshot: Any, keys: Iterable[bytes]
) -> dict[bytes, bytes]:
    """Read keys in chunks; absent ones are left out."""
    found: dict[bytes, bytes] = {}
    for chunk in _chunks(keys):
        found |= await line.read(lookup_many, engine, snapshot, chunk)
        await asyncio.sleep(0)
    return found


async def clear(line: Line, engine: Any, limits: Limits, level: int) -> None:
    """Delete the keys of a range, a block at a time."""
    found = rows(line, engine, NO_SNAPSHOT, limits, reverse=False, limit=None, values=False)
    block: list[bytes] = []
    async for key in found:
        block.append(key)
        if len(block) == CHUNK_ITEMS:
            await delete_many(line, engine, block, level)
            block.clear()
    await delete_many(line, engine, block, level)
