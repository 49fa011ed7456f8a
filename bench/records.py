"""The records of every row: 16-byte random keys and 100-byte values, each value random by itself.

Random values cannot be compressed, so an engine that compresses gains nothing by it. The seed is
fixed: every engine and every run writes the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

KEY_BYTES = 16
VALUE_BYTES = 100
RECORD_BYTES = KEY_BYTES + VALUE_BYTES
CHUNK_RECORDS = 10_000
SEED = 20

Item = TypeVar("Item")


def chunks(count: int, seed: int = SEED) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield `count` records in lists of at most CHUNK_RECORDS."""
    source = random.Random(seed)
    for begin in range(0, count, CHUNK_RECORDS):
        size = min(CHUNK_RECORDS, count - begin)
        block = source.randbytes(size * RECORD_BYTES)
        yield [_record(block, at) for at in range(0, len(block), RECORD_BYTES)]


def _record(block: bytes, at: int) -> tuple[bytes, bytes]:
    return block[at : at + KEY_BYTES], block[at + KEY_BYTES : at + RECORD_BYTES]


def records(count: int, seed: int = SEED) -> list[tuple[bytes, bytes]]:
    """Return `count` records in one list."""
    return [record for chunk in chunks(count, seed) for record in chunk]


def split(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut `items` into runs of `size`; the last may be shorter."""
    return [items[at : at + size] for at in range(0, len(items), size)]
