"""The atomic half of a store: one key, read and written in one step that nobody can come between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardkv._native import NO_SNAPSHOT, NUMBER_TEXT, as_bytes, terms
from shardkv.entry import Entry, entry
from shardkv.errors import InvalidError
from shardkv.expiry import Ttl, ttl_ms
from shardkv.opened import Opened
from shardkv.options import Ack

VERSION_MAX = (1 << 56) - 1


class AtomicKeys(Opened):
    """What a store does with one key at a time, atomically, without a lock. Exact under concurrency."""

    _number: int = NUMBER_TEXT  # how incr reads and writes numbers

    def get_entry(self, key: bytes) -> Entry | None:
        """Return the value of `key` with its version and its expiry; None when it is absent.

        Raises: as get.
        """
        found = self._calls.get_entry(key)
        if found is NotImplemented:
            return self._live().get_entry(NO_SNAPSHOT, as_bytes(key, "key"))
        return found if found is None else entry(*found)

    def add(self, key: bytes, value: bytes, *, ttl: Ttl = None, ack: Ack | None = None) -> bool:
        """Store `value` under `key` if the key is absent; say whether it was.

        Raises: as put.
        Cost: as put; nothing is written when the key is there.
        """
        return self._put_when(key, value, 0, ttl, ack)

    def cas(
        self, key: bytes, value: bytes, version: int, *, ttl: Ttl = None, ack: Ack | None = None
    ) -> bool:
        """Store `value` under `key` if the key still has `version`; say whether it had.

        Args: version: what put or get_entry returned; 0 for a key that must be absent.
        Raises: as put.
        """
        return self._put_when(key, value, version, ttl, ack)

    def incr(
        self,
        key: bytes,
        delta: int = 1,
        default: int = 0,
        *,
        ttl: Ttl = None,
        ack: Ack | None = None,
    ) -> int:
        """Add `delta` to the number that `key` holds, or to `default` when it is absent; return the sum.

        The value is decimal text: an optional minus and digits, of 64 bits.

        Args: ttl: of a key that this call makes; a key that is there keeps its expiry.
        Raises: InvalidError when the value is no such number, or the sum has more than 64 bits; as put.
        Cost: as put; many threads that count on one key share their syncs.
        """
        if ttl is None:
            found = self._calls.incr(key, delta, default, self._level(ack), self._number)
            if type(found) is tuple:
                found, seqno = found
                self._engine.reach(seqno, self._level(ack), self._timeout)
            if found is not NotImplemented:
                return int(found)
        key, how = as_bytes(key, "key"), self._terms(ttl, ack)
        delta, initial = check_number("delta", delta), check_number("default", default)
        return self._live().incr(key, delta, initial, how, self._timeout)

    def touch(self, key: bytes, ttl: Ttl, *, ack: Ack | None = None) -> bool:
        """Give a key another `ttl` seconds to live, from now on; None: for ever. Say whether it was there.

        Raises: as put.
        Cost: writes the value anew, under a new version; it is not copied to Python.
        """
        return self._live().touch(as_bytes(key, "key"), self._terms(ttl, ack), self._timeout)

    def persist(self, key: bytes, *, ack: Ack | None = None) -> bool:
        """Let a key live for ever; say whether it was there. As touch(key, None)."""
        return self.touch(key, None, ack=ack)

    def ttl(self, key: bytes) -> float | None:
        """Return how many seconds `key` has left, None when it lives for ever.

        Raises: KeyError when it is absent; as get.
        """
        entry = self.get_entry(key)
        if entry is None:
            raise KeyError(key)
        if entry.expires_at is None:
            return None
        return max(0.0, entry.expires_at - self._live().clock_ms() / 1000)

    def get_or_set(
        self, key: bytes, fn: Callable[[], bytes], ttl: Ttl = None, *, ack: Ack | None = None
    ) -> bytes:
        """Return the value of `key`; when it is absent, store and return what `fn()` returns.

        Threads of this process that miss the same key together wait for one `fn()`; nothing is locked while it runs.
        When it raises, the next who waits tries its own. What another call stored meanwhile wins.

        Args: ttl: of the value that is stored.
        Raises: what `fn` raises; LockOwnerError when `fn` asks for its own key; as get and put.
        """
        key, how = as_bytes(key, "key"), self._terms(ttl, ack)
        engine = self._live()

        def make() -> bytes:
            found = engine.get(NO_SNAPSHOT, key)
            if found is not None:
                return found
            value = as_bytes(fn(), "value")
            if not engine.put_if(key, value, 0, how, self._timeout)[0]:
                found = engine.get(NO_SNAPSHOT, key)
            return value if found is None else found

        found = engine.get(NO_SNAPSHOT, key)
        return self._shared.flights.fly(key, make) if found is None else found

    def setdefault(self, key: bytes, default: bytes = b"") -> bytes:
        """Return the value of `key`; when it is absent, store and return `default`. Atomic."""
        return self.get_or_set(key, lambda: default)

    def _terms(self, ttl: Ttl, ack: Ack | None) -> Any:
        return terms(self._level(ack), ttl_ms(ttl), self._number)

    def _put_when(self, key: bytes, value: bytes, version: int, ttl: Ttl, ack: Ack | None) -> bool:
        """Put on condition; ask C directly where that suffices."""
        if ttl is None:
            seqno = self._calls.put_if(key, value, version, self._level(ack))
            if seqno is None:
                return False
            if seqno < 0:  # appended; what is left is to wait
                self._engine.reach(-seqno, self._level(ack), self._timeout)
            if seqno:
                return True
        return self._put_if(key, value, check_version(version), self._terms(ttl, ack))[0]

    def _put_if(self, key: bytes, value: bytes, version: int, how: Any) -> tuple[bool, int]:
        key, value = as_bytes(key, "key"), as_bytes(value, "value")
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
