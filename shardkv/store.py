"""The store: a durable, ordered mapping of bytes to bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, overload

from shardkv import _native, bulk
from shardkv._native import NO_SNAPSHOT, as_bytes
from shardkv.backups import Backups
from shardkv.batch import Batch
from shardkv.changes import ChangeFeeds
from shardkv.configuring import Configuring
from shardkv.errors import ClosedError
from shardkv.leases import Leasing
from shardkv.locks import KeyLocking
from shardkv.mapping import BytesMapping
from shardkv.namespace import Namespaces
from shardkv.opened import Closing
from shardkv.options import Ack, Options, check_ack
from shardkv.registry import Shared, registry
from shardkv.scan import bounds, rows
from shardkv.scrubbing import Scrubbing
from shardkv.snapshot import Snapshot, lookup_many
from shardkv.ticket import TICKETS, Ticket
from shardkv.transacting import Transactions
from shardkv.upkeep import Upkeep
from shardkv.writing import WritingKeys

LEVELS: Final[dict[str, int]] = {
    "memory": _native.MEMORY,
    "disk": _native.DISK,
    "quorum": _native.QUORUM,
    "all": _native.ALL,
}


class Store(
    WritingKeys,
    BytesMapping,
    KeyLocking,
    Namespaces,
    Transactions,
    Leasing,
    ChangeFeeds,
    Configuring,
    Upkeep,
    Backups,
    Scrubbing,
    Closing,
):
    """An open store, made by `shardkv.open`. Keys have 1..500 bytes, values 0..32 MiB. A forked child opens its own.

    Attributes:
        path: of its directory, absolute.

    Threads: every method may be called from any thread.
    """

    def __init__(self, path: str, shared: Shared, ack: Ack, write_timeout: float) -> None:
        self.path = path
        self._shared = shared
        self._engine = shared.engine
        self._default = ack
        self._ack = LEVELS[ack]
        self._ticket = TICKETS.get(self._ack, Ticket)
        self._timeout = write_timeout
        self._closed, self._opened = False, True
        self._twins = {}
        self._bind(self._engine.calls)

    # -- writing

    def delete(self, key: bytes, *, ack: Ack | None = None) -> bool:
        """Delete a key; say whether it was there. Exact under concurrency. Raises: as put."""
        return self._live().delete(as_bytes(key, "key"), self._level(ack), self._timeout)

    def delete_many(self, keys: Iterable[bytes], *, ack: Ack | None = None) -> int:
        """Delete many keys; return how many were there. Each by itself is atomic.

        Raises: as put; a TypeError names the item.
        Cost: one crossing into C and one sync for each 8,192 keys; values are not read.
        """
        return bulk.delete_many(self._live(), keys, self._level(ack), self._timeout)

    def batch(self, *, ack: Ack | None = None) -> Batch:
        """Return a batch for a `with` block: atomic across shards, nothing is written when the block raises."""
        return Batch(self._live(), self._level(ack), self._timeout)

    # -- reading

    @overload
    def get(self, key: bytes) -> bytes | None: ...
    @overload
    def get(self, key: bytes, default: Any) -> Any: ...
    def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value of `key`, or `default`.

        Raises: TypeError, InvalidError, KeyTooLongError (key); CorruptionError; ClosedError.
        Durability: a value that its writer wants on disk is not shown before it is there.
        Cost: one crossing into C, one copy; no system call when the pages are in memory.
        """
        value = self._get(key)
        if value is NotImplemented:
            value = self._live().get(NO_SNAPSHOT, as_bytes(key, "key"))
        return default if value is None else value

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the keys that are present, with their values. Not a snapshot: each is read by itself.

        Raises, Durability: as get.
        Cost: one crossing into C for all keys.
        """
        return lookup_many(self._live(), NO_SNAPSHOT, keys)

    def scan(
        self,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        values: bool = True,
    ) -> Iterator[Any]:
        """Iterate over (key, value), or over keys, in key order across all shards.

        Args:
            start, stop: keys in [start, stop), in both directions; None is open.
            prefix: only keys that begin with it.
            reverse: from the last to the first.
            limit: at most so many rows.
            values: False yields keys alone.
        Returns: an iterator over the store as it is now, whatever is written meanwhile.
        Raises: as get; FullError (too many are open); InvalidError when two threads take rows from it at once. A scan
            without bounds also proves that no record of a shard is missing.
        Cost: rows come in blocks; an open iterator keeps disk space like a snapshot. What was deleted and is not
            flushed yet is stepped over, a microsecond a key: who takes rows from the front, as from a queue, goes on
            with `start` at the last one.
        """
        return rows(
            self._live(),
            NO_SNAPSHOT,
            bounds(start, stop, prefix),
            reverse=reverse,
            limit=limit,
            values=values,
        )

    def snapshot(self) -> Snapshot:
        """Return one cut across all shards, for reading: `with store.snapshot() as s`.

        Raises: ClosedError, FullError (too many are open).
        """
        return Snapshot(self._live())

    # -- the end

    @property
    def closed(self) -> bool:
        """Whether this Store was closed."""
        return self._closed

    def close(self, flush: bool = True) -> None:
        """Close. Everything appended is durable afterwards. Idempotent: while somebody closes it, others do not wait.

        Args: flush: also move it into the shards, so that the next open has nothing to replay.
        Raises: what flushing or syncing raises; the store is closed all the same.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._bind(_native.NO_CALLS)
            self._close_inner()
        finally:
            registry.release(self._shared, flush=flush)

    def _bind(self, calls: _native.Calls) -> None:
        self._get, self._put, self._submit, self._calls = calls.get, calls.put, calls.submit, calls

    def _live(self) -> _native.Engine:
        if self._closed:
            raise ClosedError(f"the store {self.path} is closed")
        return self._engine

    def _level(self, ack: str | None) -> int:
        if ack is None:
            return self._ack
        check_ack(ack)
        return LEVELS[ack]

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen, (
            self.path,
            self._default,
            self._timeout,
            self._engine.options.without_settings(),
        )

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._opened:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return f"<shardkv.Store {self.path!r}{' closed' if self._closed else ''}>"


def reopen(
    path: str, ack: Ack, write_timeout: float, options: Options, peers: Sequence[str] | None = None
) -> Store:
    """Open again what a pickle names, or for the first time what `shardkv.open` does."""
    shared = registry.acquire(path, options, peers, quorum=ack in ("quorum", "all"))
    return Store(path, shared, ack, write_timeout)
