"""Many keys at once: chunks that cross into C as one packed batch each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import TypeVar

from shardkv import _native
from shardkv._native import Engine, after, pack

CHUNK_ITEMS = 8192
CHUNK_BYTES = 4 << 20

Pairs = Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]
Chunk = list[tuple[bytes, bytes]]
T = TypeVar("T")


def put_many(engine: Engine, items: Pairs, level: int, timeout: float, ttl_ms: int = 0) -> int:
    """Store pairs in chunks; wait for the ack once, at the end. Returns the last seqno."""
    small = (type(items) is dict or type(items) is list) and len(items) <= CHUNK_ITEMS
    if small and not ttl_ms and (seqno := engine.put_many(items, level, timeout)):
        return seqno
    pairs = iter(items.items() if isinstance(items, Mapping) else items)
    chunk, full = next_chunk(pairs, CHUNK_ITEMS, CHUNK_BYTES)
    if not full:
        return _put_chunk(engine, chunk, level, timeout, ttl_ms)
    later = _native.MEMORY if level == _native.MEMORY else _native.LATER
    done = 0
    while chunk:
        with after(done):
            seqno = _put_chunk(engine, chunk, later, timeout, ttl_ms)
        done += len(chunk)
        chunk, _ = next_chunk(pairs, CHUNK_ITEMS, CHUNK_BYTES)
    if level != _native.MEMORY:
        engine.reach(seqno, level, timeout)
    return seqno


def next_chunk(pairs: Iterator[T], items_max: int, bytes_max: int) -> tuple[list[T], bool]:
    """Take pairs: so many, or so many bytes of values, twice that at most if they are alike. Say if more may come."""
    chunk: list[T] = []
    held = 0
    while held < bytes_max and (left := items_max - len(chunk)):
        piece = list(islice(pairs, min(left, len(chunk) + 1)))
        if not piece:
            return chunk, False
        chunk += piece
        with contextlib.suppress(
            TypeError, LookupError, ValueError
        ):  # what is no pair is told when it is packed
            held += sum(map(len, map(itemgetter(1), piece)))  # type: ignore[arg-type]
    return chunk, True


def _put_chunk(engine: Engine, chunk: Chunk, level: int, timeout: float, ttl_ms: int) -> int:
    if not ttl_ms and (seqno := engine.put_many(chunk, level, timeout)):
        return seqno
    blob = pack(chunk)
    if len(blob) <= CHUNK_BYTES or len(chunk) == 1:
        return engine.apply(blob, level, timeout, ttl_ms, puts_only=True)
    half = len(chunk) // 2
    _put_chunk(engine, chunk[:half], level, timeout, ttl_ms)
    with after(half):
        return _put_chunk(engine, chunk[half:], level, timeout, ttl_ms)


def delete_many(engine: Engine, keys: Iterable[bytes], level: int, timeout: float) -> int:
    """Delete keys in chunks; return how many were there."""
    todo, done, deleted = iter(keys), 0, 0
    while chunk := list(islice(todo, CHUNK_ITEMS)):
        with after(done):
            deleted += engine.delete_many(pack(chunk), level, timeout)
        done += len(chunk)
    return deleted
