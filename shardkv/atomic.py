"""The atomic half of a store: one key, read and written in one step that nobody can come between."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from shardkv import _native
from shardkv._native import NO_SNAPSHOT, Engine, as_bytes
from shardkv.entry import Entry
from shardkv.errors import InvalidError

VERSION_MAX = (1 << 56) - 1


class AtomicKeys:
    """What a store does with one key at a time, atomically, without a lock. Exact under concurrency."""

    _timeout: float

    @abstractmethod
    def _live(self) -> Engine: ...

    @abstractmethod
    def _level(self, ack: Any) -> int: ...

    def get_entry(self, key: bytes) -> Entry | None:
        """Return the value of `key` with its version and its expiry; None when it is absent.

        Raises: as get.
        """
        return self._live().get_entry(NO_SNAPSHOT, as_bytes(key, "key"))

    def add(self, key: bytes, value: bytes, *, ack: Any = None) -> bool:
        """Store `value` under `key` if the key is absent; say whether it was.

        Raises: as put.
        Cost: as put; nothing is written when the key is there.
        """
        return self._put_if(key, value, 0, ack)[0]

    def cas(self, key: bytes, value: bytes, version: int, *, ack: Any = None) -> bool:
        """Store `value` under `key` if the key still has `version`; say whether it had.

        Args: version: what put or get_entry returned; 0 for a key that must be absent.
        Raises: as put.
        """
        return self._put_if(key, value, check_version(version), ack)[0]

    def incr(self, key: bytes, delta: int = 1, default: int = 0, *, ack: Any = None) -> int:
        """Add `delta` to the number that `key` holds, or to `default` when it is absent; return the sum.

        The value is decimal text: an optional minus and digits, of 64 bits. Its expiry stays.

        Raises: InvalidError when the value is no such number, or the sum has more than 64 bits; as put.
        Cost: as put; many threads that count on one key share their syncs.
        """
        key, how = as_bytes(key, "key"), _native.terms(self._level(ack))
        delta, initial = check_number("delta", delta), check_number("default", default)
        return self._live().incr(key, delta, initial, how, self._timeout)

    def _put_if(self, key: bytes, value: bytes, version: int, ack: Any) -> tuple[bool, int]:
        key, value = as_bytes(key, "key"), as_bytes(value, "value")
        how = _native.terms(self._level(ack))
        return self._live().put_if(key, value, version, how, self._timeout)


def check_version(version: object) -> int:
    """Return a version; raise TypeError, or InvalidError when no key can have it."""
    if not isinstance(version, int) or isinstance(version, bool):
        raise TypeError(f"the version must be an int, not {type(version).__name__}")
    if not 0 <= version <= VERSION_MAX:
        raise InvalidError(f"the version is {version}; it must be 0..{VERSION_MAX}")
    return version


def check_number(name: str, value: object) -> int:
    """Return a signed number of 64 bits; raise TypeError or InvalidError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidError(f"{name} is {value}; it must be a signed number of 64 bits")
    return value
