"""The atomic half of a namespace: as that of a store, with typed keys and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shardkv.entry import Entry
from shardkv.errors import InvalidError
from shardkv.expiry import Ttl
from shardkv.options import Ack
from shardkv.typed import Typed


class TypedAtomic(Typed):
    """What a namespace does with one key at a time, atomically, without a lock: as the store's calls of these names."""

    def get_entry(self, key: Any) -> Entry | None:
        """Return the value of `key` with its version and its expiry; None when it is absent."""
        found = self._raw.get_entry(self._coder.key(key))
        return None if found is None else replace(found, value=self._coder.decode(found.value))

    def add(self, key: Any, value: Any, *, ttl: Ttl = None, ack: Ack | None = None) -> bool:
        """Store `value` under `key` if the key is absent; say whether it was."""
        coder = self._coder
        return self._raw.add(coder.key(key), coder.encode(value), ttl=ttl, ack=ack)  # type: ignore[no-any-return]

    def cas(
        self, key: Any, value: Any, version: int, *, ttl: Ttl = None, ack: Ack | None = None
    ) -> bool:
        """Store `value` under `key` if the key still has `version`; say whether it had."""
        coder = self._coder
        return self._raw.cas(coder.key(key), coder.encode(value), version, ttl=ttl, ack=ack)  # type: ignore[no-any-return]

    def incr(
        self,
        key: Any,
        delta: int = 1,
        default: int = 0,
        *,
        ttl: Ttl = None,
        ack: Ack | None = None,
    ) -> int:
        """Add `delta` to the int that `key` holds, or to `default` when it is absent; return the sum.

        With codec bytes the value is decimal text, as in the store; with codec pickle there is no incr.
        """
        if self._coder.codec == "pickle":
            raise InvalidError(
                "incr cannot read numbers of codec pickle: use another codec, or cas"
            )
        return self._raw.incr(self._coder.key(key), delta, default, ttl=ttl, ack=ack)  # type: ignore[no-any-return]

    def touch(self, key: Any, ttl: Ttl, *, ack: Ack | None = None) -> bool:
        """Give a key another `ttl` seconds to live, from now on; None: for ever. Say whether it was there."""
        return self._raw.touch(self._coder.key(key), ttl, ack=ack)  # type: ignore[no-any-return]

    def persist(self, key: Any, *, ack: Ack | None = None) -> bool:
        """Let a key live for ever; say whether it was there."""
        return self.touch(key, None, ack=ack)

    def ttl(self, key: Any) -> float | None:
        """Return how many seconds `key` has left, None when it lives for ever; KeyError when it is absent."""
        stored = self._coder.key(key)
        try:
            return self._raw.ttl(stored)  # type: ignore[no-any-return]
        except KeyError:
            raise KeyError(key) from None

    def get_or_set(
        self, key: Any, fn: Callable[[], Any], ttl: Ttl = None, *, ack: Ack | None = None
    ) -> Any:
        """Return the value of `key`; when it is absent, store and return what `fn()` returns, called once at a time."""
        coder = self._coder
        return coder.decode(
            self._raw.get_or_set(coder.key(key), lambda: coder.encode(fn()), ttl, ack=ack)
        )

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of `key`; when it is absent, store and return `default`. Atomic."""
        return self.get_or_set(key, lambda: default)
