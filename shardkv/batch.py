"""Batches: puts and deletes that become visible and durable together, across shards."""

from __future__ import annotations

from typing import Self

from shardkv import _native
from shardkv._native import Engine, as_bytes
from shardkv.errors import ClosedError, InvalidError, KeyTooLongError, ValueTooLargeError
from shardkv.expiry import Ttl, ttl_ms


class Batch:
    """Collect writes; they are applied as one when the `with` block ends, or not at all when it raises.

    Later writes to a key replace earlier ones of the same batch. At most 32 MiB of keys and values. The end of the
    block waits and raises as `Store.put` does.

    Attributes:
        seqno: of its last write, once it is applied; None before, and of an empty one.

    Threads: one at a time.
    """

    def __init__(self, engine: Engine, ack: int, timeout: float) -> None:
        self._engine = engine
        self._ack = ack
        self._timeout = timeout
        self._items: list[bytes | tuple[bytes, bytes] | tuple[bytes, bytes, int]] = []
        self._bytes = 0
        self._over = False
        self.seqno: int | None = None

    def put(self, key: bytes, value: bytes, *, ttl: Ttl = None) -> None:
        """Add a put; with a ttl, its seconds begin when the batch is applied.

        Raises: TypeError, InvalidError, KeyTooLongError, ValueTooLargeError; the batch stays as it was.
        """
        key, value = as_bytes(key, "key"), as_bytes(value, "value")
        lifetime = ttl_ms(ttl)
        self._add(key, len(value))
        self._items.append((key, value, lifetime) if lifetime else (key, value))

    def delete(self, key: bytes) -> None:
        """Add a delete; the key need not exist.

        Raises: as put.
        """
        key = as_bytes(key, "key")
        self._add(key, 0)
        self._items.append(key)

    def _may_reserve(self) -> bool:
        return self._engine.reserved() is self._engine

    def _add(self, key: bytes, value_bytes: int) -> None:
        if self._over:
            raise ClosedError("the batch was applied or dropped")
        check_write(key, value_bytes, may_reserve=self._may_reserve())
        total = self._bytes + len(key) + value_bytes
        check_size(total)
        self._bytes = total

    def __len__(self) -> int:
        return len(self._items)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values so far."""
        return self._bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        self._over = True
        if kind is None and self._items:
            # Reserved keys are here only by the hand of a namespace.
            engine = self._engine.reserved()
            self.seqno = engine.apply(_native.pack(self._items), self._ack, self._timeout)
        self._items.clear()

    def __repr__(self) -> str:
        return f"<shardkv.Batch of {len(self._items)} writes, {self._bytes} bytes>"


def check_write(key: bytes, value_bytes: int, *, may_reserve: bool) -> None:
    """Raise unless this key and a value of this length can be written."""
    if not key:
        raise InvalidError(f"the key is empty; a key has 1..{_native.KEY_BYTES_MAX} bytes")
    if len(key) > _native.KEY_BYTES_MAX:
        raise KeyTooLongError(f"the key has {len(key)} bytes; at most {_native.KEY_BYTES_MAX}")
    if key.startswith(_native.RESERVED) and not may_reserve:
        raise InvalidError(
            "the key begins with 4 bytes 0xff, which are reserved: use store.namespace() for typed keys"
        )
    if value_bytes > _native.VALUE_BYTES_MAX:
        raise ValueTooLargeError(
            f"the value has {value_bytes} bytes; at most {_native.VALUE_BYTES_MAX}"
        )


def check_size(total: int) -> None:
    """Raise when so many bytes of keys and values are more than one batch."""
    if total > _native.BATCH_BYTES_MAX:
        raise ValueTooLargeError(
            f"the batch would have {total} bytes of keys and values; at most {_native.BATCH_BYTES_MAX}"
        )
