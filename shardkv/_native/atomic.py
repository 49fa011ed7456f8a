"""Atomic writes: append on condition that a key is as expected; what a condition met instead."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from shardkv import errors
from shardkv._core import ffi, lib
from shardkv._native.codes import CONFLICT, NOT_FOUND, NUMBER_TEXT
from shardkv._native.reading import Reading
from shardkv._native.writing import Writing
from shardkv.entry import Entry, entry

ANSWERS: Final = frozenset({NOT_FOUND, CONFLICT})


@lru_cache(maxsize=64)
def terms(ack: int, ttl_ms: int = 0, number: int = NUMBER_TEXT) -> Any:
    """Return how an atomic write is made, as C reads it; nobody changes it."""
    return ffi.new("skv_terms *", {"ack": ack, "ttl_ms": ttl_ms, "number": number})


class Atomic(Writing, Reading):
    """The atomic writes of an engine, and the read that tells a version."""

    def get_entry(self, snapshot: Any, key: bytes) -> Entry | None:
        """Return value, version and expiry of a key, None when it is absent."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_get(self.handle, snapshot, key, len(key), ws.c))

        if not self.finish(call(), ws, call):
            return None
        found = entry(ws.data(), ws.c.version, ws.c.expires_ms)
        self.give(ws)
        return found

    def put_if(
        self, key: bytes, value: bytes, version: int, how: Any, timeout: float
    ) -> tuple[bool, int]:
        """Append a put if the key's version is `version`; return whether it was, and the version now."""
        ws = self.take()

        def call() -> int:
            return int(
                lib.skv_put_if(self.handle, key, len(key), value, len(value), version, how, ws.c)
            )

        seqno = self.settle(call(), ws, timeout, call, ANSWERS)
        outcome = (True, seqno) if seqno > 0 else (False, int(ws.c.version))
        self.give(ws)
        return outcome

    def incr(self, key: bytes, delta: int, initial: int, how: Any, timeout: float) -> int:
        """Add to the number that a key holds; return the sum."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_incr(self.handle, key, len(key), delta, initial, how, ws.c))

        self.settle(call(), ws, timeout, call)
        number = int(ws.c.number)
        self.give(ws)
        return number

    def touch(self, key: bytes, how: Any, timeout: float) -> bool:
        """Give a key that exists a new expiry; say whether it was there."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_touch(self.handle, key, len(key), how, ws.c))

        code = self.settle(call(), ws, timeout, call)
        self.give(ws)
        return code != NOT_FOUND

    def apply_if(self, snapshot: Any, blob: bytes, how: Any, timeout: float) -> int:
        """Append a batch if its conditions hold; return the seqno of its last record.

        Args: snapshot: since when nothing was written in the ranges of the blob; NO_SNAPSHOT: it has none.
        Raises: ConflictError; `offset` is the index of the condition, `version` what was found.
        """
        ws = self.take()

        def call() -> int:
            return int(lib.skv_apply_if(self.handle, snapshot, blob, len(blob), how, ws.c))

        seqno = self.settle(call(), ws, timeout, call) or int(ws.c.seqno)
        self.give(ws)
        return seqno


def conflict(version: int, expected: int) -> errors.ConflictError:
    """Make the error of a put that met another version than the expected one."""
    found = f"has version {version}" if version else "is absent"
    wanted = f"version {expected}" if expected else "absence"
    return errors.ConflictError(f"the key {found}; {wanted} was expected", seqno=version)
