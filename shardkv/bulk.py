"""Many keys at once: chunks that cross into C as one packed batch each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from shardkv import _native
from shardkv._native import Engine, pack

CHUNK_ITEMS = 8192
CHUNK_BYTES = 4 << 20

Pairs = Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]
Chunk = dict[bytes, bytes] | list[tuple[bytes, bytes]]


def put_many(engine: Engine, items: Pairs, level: int, timeout: float, ttl_ms: int = 0) -> int:
    """Store pairs in chunks; wait for the ack once, at the end. Returns the last seqno."""
    if (type(items) is dict or type(items) is list) and len(items) <= CHUNK_ITEMS:
        return _put_chunk(engine, items, level, timeout, ttl_ms)
    pairs = iter(items.items() if isinstance(items, Mapping) else items)
    chunk = list(islice(pairs, CHUNK_ITEMS))
    if len(chunk) < CHUNK_ITEMS:
        return _put_chunk(engine, chunk, level, timeout, ttl_ms)
    later = _native.MEMORY if level == _native.MEMORY else _native.LATER
    while chunk:
        seqno = _put_chunk(engine, chunk, later, timeout, ttl_ms)
        chunk = list(islice(pairs, CHUNK_ITEMS))
    if level != _native.MEMORY:
        engine.reach(seqno, level, timeout)
    return seqno


def _put_chunk(engine: Engine, chunk: Chunk, level: int, timeout: float, ttl_ms: int) -> int:
    if not ttl_ms and (seqno := engine.put_many(chunk, level, timeout)):
        return seqno
    blob = pack(chunk)
    if len(blob) <= CHUNK_BYTES or len(chunk) == 1:
        return engine.apply(blob, level, timeout, ttl_ms, puts_only=True)
    pairs = list(chunk.items()) if isinstance(chunk, dict) else chunk
    _put_chunk(engine, pairs[: len(pairs) // 2], level, timeout, ttl_ms)
    return _put_chunk(engine, pairs[len(pairs) // 2 :], level, timeout, ttl_ms)


def delete_many(engine: Engine, keys: Iterable[bytes], level: int, timeout: float) -> int:
    """Delete keys in chunks; return how many were there."""
    todo, deleted = iter(keys), 0
    while chunk := list(islice(todo, CHUNK_ITEMS)):
        deleted += engine.delete_many(pack(chunk), level, timeout)
    return deleted
