"""Writes: append, wait for the ack, meet back-pressure."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from shardkv import errors
from shardkv._core import lib
from shardkv._native.codes import AGAIN, BUSY, LATER, MEMORY, NOT_FOUND, error_from
from shardkv._native.crossing import Workspace
from shardkv._native.shipping import Shipping


class Writing(Shipping):
    """The writing half of an engine."""

    def put(self, key: bytes, value: bytes, ack: int, timeout: float, ttl_ms: int = 0) -> int:
        """Append one put and wait for its ack; return its seqno."""
        ws = self.take()

        def call() -> int:
            return int(
                lib.skv_put(self.handle, key, len(key), value, len(value), ack, ttl_ms, ws.c)
            )

        seqno = self.settle(call(), ws, timeout, call)
        self.give(ws)
        return seqno

    def put_many(self, items: object, ack: int, timeout: float) -> int:
        """Append a list of pairs or a dict of bytes as one batch; 0 when it has to go packed."""
        seqno: int = self.calls.put_many(items, ack)
        if seqno < 0:
            self.reach(-seqno, ack, timeout)
        return abs(seqno)

    def settle(
        self,
        code: int,
        ws: Workspace,
        timeout: float,
        again: Callable[[], int],
        answers: Collection[int] = (NOT_FOUND,),
    ) -> int:
        """Bring a write to its end: `again` while there is no room, wait while it is not durable.

        Args: answers: codes below zero that are no errors. The workspace is still the caller's afterwards.
        Returns: what the call returned at last; for one that was appended, its seqno.
        Raises: OverloadedError after `timeout` seconds without room; what the code says.
        """
        deadline = time.monotonic() + timeout
        while code == BUSY:
            if time.monotonic() >= deadline:
                lib.skv_give_up(self.handle, ws.c)
                raise errors.OverloadedError(
                    f"no room for the write within {timeout:g} s: {error_from(ws.c.error)}; nothing was written"
                )
            code = again()
        if code == AGAIN:
            seqno = int(ws.c.seqno)
            self.reach(seqno, int(ws.c.wait_ack), timeout)
            return seqno
        if code < 0 and code not in answers:
            raise error_from(ws.c.error)
        return code

    def apply(
        self, blob: bytes, ack: int, timeout: float, ttl_ms: int = 0, *, puts_only: bool = False
    ) -> int:
        """Append one batch; return the seqno of its last record."""
        ws, append = self.take(), lib.skv_put_many if puts_only else lib.skv_apply

        def call() -> int:
            return int(append(self.handle, blob, len(blob), ack, ttl_ms, ws.c))

        seqno = self.settle(call(), ws, timeout, call) or int(ws.c.seqno)
        self.give(ws)
        return seqno

    def remove_expired(self, shard: int, after: bytes, timeout: float) -> tuple[int, bytes]:
        """Delete what has expired in a part of a shard; return how many, and where to go on: b"" at its end."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_remove_expired(self.handle, shard, after, len(after), ws.c))

        removed = self.settle(call(), ws, timeout, call)
        place = ws.data()
        self.give(ws)
        return removed, place

    def delete(self, key: bytes, ack: int, timeout: float) -> bool:
        """Delete a key; say whether it was there."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_delete(self.handle, key, len(key), ack, ws.c))

        code = self.settle(call(), ws, timeout, call)
        self.give(ws)
        return code != NOT_FOUND

    def pop(self, key: bytes, ack: int, timeout: float) -> bytes | None:
        """Delete a key and return what it held."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_pop(self.handle, key, len(key), ack, ws.c))

        code = self.settle(call(), ws, timeout, call)
        value = None if code == NOT_FOUND else ws.data()
        self.give(ws)
        return value

    def delete_many(self, blob: bytes, ack: int, timeout: float) -> int:
        """Delete the keys of a packed list; return how many were there."""
        ws, deleted, newest, calls = self.take(), 0, 0, 0

        def call() -> int:
            nonlocal deleted, newest, calls
            calls += 1
            code = int(lib.skv_delete_many(self.handle, blob, len(blob), ack, ws.c))
            if code in (0, AGAIN, BUSY):
                deleted += ws.c.bytes
                newest = max(newest, ws.c.seqno)
            return code

        self.settle(call(), ws, timeout, call)
        self.give(ws)
        if ack not in (MEMORY, LATER) or calls > 1:
            self.reach(
                newest, ack, timeout
            )  # deletes of a round that then had no room are part of this call too
        return deleted
