"""Feeds: what becomes durable, in the order of the log."""

from __future__ import annotations

from typing import Any

import msgpack

from shardkv._core import ffi, lib
from shardkv._native.codes import AGAIN, error_from
from shardkv._native.crossing import owned
from shardkv._native.handle import Handle


class Following(Handle):
    """The following half of an engine."""

    def open_feed(self, since: int | None, prefix: bytes) -> Any:
        """Begin a feed after a seqno, or with what becomes durable from now on; return its handle, which frees itself.

        Raises: LogGoneError, InvalidError, KeyTooLongError, ClosedError.
        """
        ws = self.take()
        after = lib.SKV_FEED_FROM_NOW if since is None else since
        feed = lib.skv_feed_open(self.handle, after, prefix, len(prefix), ws.c)
        if feed == ffi.NULL:
            raise error_from(ws.c.error)
        self.give(ws)
        return owned(feed, lib.skv_feed_free, self.handle)

    def next_changes(self, feed: Any, bytes_max: int) -> tuple[list[Any] | None, int]:
        """Read the next block of a feed, without ever waiting.

        Returns: seqno, key, value or None, expires_ms or 0, and so on, in one flat list, which may be empty; None when
            all that is durable was read. And the seqno that the feed has come to.
        Raises: LogGoneError, CorruptionError, ClosedError.
        """
        ws = self.take()
        count = lib.skv_feed_next(feed, bytes_max, ws.c)
        if count < 0 and count != AGAIN:
            raise error_from(ws.c.error)
        block = None if count == AGAIN else msgpack.unpackb(ws.data()) if count else []
        seqno = int(ws.c.seqno)
        self.give(ws)
        return block, seqno

    def wait_for_changes(self, feed: Any, slice_ms: int) -> None:
        """Wait until a feed may have more, at most one slice; it may also return early.

        Raises: PoisonedError (there will be no more), ClosedError.
        """
        ws = self.take()
        if lib.skv_feed_wait(feed, slice_ms, ws.c) not in (0, AGAIN):
            raise error_from(ws.c.error)
        self.give(ws)


def close_feed(feed: Any) -> None:
    """Let go of a feed and wake who waits for it; its memory lives as long as somebody refers to it."""
    lib.skv_feed_close(feed)
