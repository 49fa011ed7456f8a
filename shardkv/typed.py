"""Typed views: the keys and values of one namespace in a batch, a snapshot, or the whole store.

Each is a Coder and something that takes bytes and may meet reserved keys. What the two have in common stands here once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from shardkv.coder import Coder
from shardkv.expiry import Ttl
from shardkv.mapping import MISSING


class Typed:
    """A namespace's view of something."""

    def __init__(self, coder: Coder, raw: Any) -> None:
        self._coder = coder
        self._raw = raw

    @property
    def name(self) -> str:
        """The namespace."""
        return self._coder.name

    def __repr__(self) -> str:
        return f"<shardkv.{type(self).__name__} {self.name!r}>"


class TypedReads(Typed):
    """The reading half."""

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of `key`, or `default`.

        Raises: TypeError, InvalidError, KeyTooLongError (key); CorruptionError; ClosedError.
        """
        stored = self._raw.get(self._coder.key(key))
        return default if stored is None else self._coder.decode(stored)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return self._coder.key(key) in self._raw

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the keys that are present, with their values."""
        coder = self._coder
        found = self._raw.get_many([coder.key(key) for key in keys])
        return dict(map(coder.pair_of, found.items()))

    def scan(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        values: bool = True,
    ) -> Iterator[Any]:
        """Iterate over (key, value), or over keys, in key order.

        Args:
            start, stop: keys in [start, stop), in both directions; None is open.
            prefix: only text or bytes that begin with it, or tuples whose first elements it has.
            reverse, limit, values: as in Store.scan.
        """
        coder = self._coder
        first, end = coder.bounds(start, stop, prefix)
        found = self._raw.scan(first, end, reverse=reverse, limit=limit, values=values)
        return map(coder.pair_of if values else coder.key_of, found)

    def __iter__(self) -> Iterator[Any]:
        return self.scan(values=False)


class TypedWrites(Typed):
    """The writing half of what collects writes."""

    def put(self, key: Any, value: Any, *, ttl: Ttl = None) -> None:
        """Add a put.

        Raises: TypeError, InvalidError (what a codec cannot encode); KeyTooLongError; ValueTooLargeError.
        """
        self._raw.put(self._coder.key(key), self._coder.encode(value), ttl=ttl)

    def delete(self, key: Any) -> None:
        """Add a delete; the key need not exist."""
        self._raw.delete(self._coder.key(key))


class Scope(Typed):
    """A view that was made together with what it shows, and ends it: `with`."""

    def __enter__(self) -> Self:
        self._raw.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._raw.__exit__(*raised)


class BatchView(TypedWrites):
    """A namespace's view of a batch."""


class OwnBatch(Scope, BatchView):
    """A batch of one namespace: applied as one when the `with` block ends, or not at all when it raises."""

    @property
    def seqno(self) -> int | None:
        """The sequence number of its last write, once it is applied."""
        return self._raw.seqno  # type: ignore[no-any-return]


class SnapshotView(TypedReads):
    """A namespace's view of a snapshot."""

    @property
    def seqno(self) -> int:
        """The sequence number that the snapshot shows."""
        return self._raw.seqno  # type: ignore[no-any-return]


class OwnSnapshot(Scope, SnapshotView):
    """A snapshot that shows one namespace. Close it: an old one keeps disk space."""

    def close(self) -> None:
        """Let go of the cut. Idempotent."""
        self._raw.close()


class TransactionView(TypedReads, TypedWrites):
    """A namespace's view of a transaction: reads show its writes, too."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.put(key, value)

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        self.delete(key)


class OwnTransaction(Scope, TransactionView):
    """A transaction of one namespace: committed when the `with` block ends, if nothing that was read has changed."""

    @property
    def seqno(self) -> int | None:
        """The sequence number of its last write, once it is committed; None when it wrote nothing."""
        return self._raw.seqno  # type: ignore[no-any-return]
