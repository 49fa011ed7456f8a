"""The records: ten fields of 100 bytes, side by side, under one key.

Values are random bytes, so that compression gains nothing anywhere. In integrity mode a field follows
from its key, its place and a version that stands in it, so that every read can be checked.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Protocol

FIELDS = 10
FIELD_BYTES = 100
RECORD_BYTES = FIELDS * FIELD_BYTES
SEED = 20
CHANGES = 1 << 16  #: new values that updates choose from
BATCH_RECORDS = 1000
FRESH = 4096  #: values that inserts choose from
LOADED = 0  #: the version of what the load wrote

Batch = list[tuple[bytes, bytes]]


class Damaged(Exception):
    """A read returned what nobody wrote."""


class Values(Protocol):
    """Where values come from."""

    def batches(self, keys: Sequence[bytes]) -> Iterator[Batch]:
        """Yield the records to load, in the order of `keys`."""

    def inserted(self, key: bytes, number: int) -> bytes:
        """Return the record that an insert writes."""

    def changed(self, key: bytes, record: bytes, number: int) -> bytes:
        """Return `record` with one field replaced: update is read, merge, write."""


class RandomValues:
    """Random bytes, made beforehand."""

    def __init__(self) -> None:
        source = random.Random(SEED)
        block = source.randbytes(CHANGES + FRESH * RECORD_BYTES)
        self._fresh = [block[at : at + RECORD_BYTES] for at in range(0, FRESH * RECORD_BYTES, 1000)]
        self._changes = []
        for at in range(CHANGES):
            low = source.randrange(FIELDS) * FIELD_BYTES
            self._changes.append((low, low + FIELD_BYTES, block[at : at + FIELD_BYTES]))

    def batches(self, keys: Sequence[bytes]) -> Iterator[Batch]:
        """Yield records of fresh random bytes."""
        source = random.Random(SEED)
        for begin in range(0, len(keys), BATCH_RECORDS):
            some = keys[begin : begin + BATCH_RECORDS]
            block = source.randbytes(len(some) * RECORD_BYTES)
            yield [
                (key, block[at * RECORD_BYTES : (at + 1) * RECORD_BYTES])
                for at, key in enumerate(some)
            ]

    def inserted(self, key: bytes, number: int) -> bytes:
        """Return one of FRESH records."""
        return self._fresh[number % FRESH]

    def changed(self, key: bytes, record: bytes, number: int) -> bytes:
        """Return `record` with the field of change `number`."""
        low, high, new = self._changes[number]
        return record[:low] + new + record[high:]


class CheckedValues:
    """Fields that tell key, place and version, followed by bytes that follow from those."""

    def batches(self, keys: Sequence[bytes]) -> Iterator[Batch]:
        """Yield records of version LOADED."""
        for begin in range(0, len(keys), BATCH_RECORDS):
            some = keys[begin : begin + BATCH_RECORDS]
            yield [(key, self.inserted(key, LOADED)) for key in some]

    def inserted(self, key: bytes, number: int) -> bytes:
        """Return a record whose fields have the version `number`."""
        return b"".join(_field(key, field, number) for field in range(FIELDS))

    def changed(self, key: bytes, record: bytes, number: int) -> bytes:
        """Return `record` with one field of the version `number`."""
        low = number % FIELDS * FIELD_BYTES
        new = _field(key, number % FIELDS, number)
        return record[:low] + new + record[low + FIELD_BYTES :]


def check(key: bytes, record: bytes | None) -> None:
    """Check what was read under `key` against what `CheckedValues` writes.

    Raises:
        Damaged: when a field belongs elsewhere, is torn, or was never written; or nothing was read.
    """
    if record is None:
        raise Damaged(f"{key!r} is missing")
    if len(record) != RECORD_BYTES:
        raise Damaged(f"{key!r} has {len(record)} bytes, not {RECORD_BYTES}")
    for number in range(FIELDS):
        found = record[number * FIELD_BYTES : (number + 1) * FIELD_BYTES]
        version = found.split(b":", 3)[2] if found.count(b":") >= 3 else b""
        if not version.isdigit() or found != _field(key, number, int(version)):
            raise Damaged(f"field {number} of {key!r} holds {found!r}")


def _field(key: bytes, field: int, version: int) -> bytes:
    head = b"%s:field%d:%d:" % (key, field, version)
    return head + hashlib.shake_128(head).digest(FIELD_BYTES - len(head))
