"""Transactions: reads of one cut and own writes, committed as one if nothing that was read has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Self

from shardkv._native import RESERVED, Engine, as_bytes
from shardkv.batch import check_write
from shardkv.expiry import Ttl, ttl_ms
from shardkv.mapping import MISSING
from shardkv.overlay import Limits, merge, own_rows
from shardkv.readset import RangeRead
from shardkv.scan import bounds, check_limit, watched_rows
from shardkv.snapshot import lookup_many
from shardkv.work import Work


class Transaction:
    """Reads of one cut plus own writes; at the end of the `with` block all writes are applied as one.

    That happens only if nothing that was read has changed meanwhile, absent keys and scanned ranges included; else
    ConflictError, and nothing is written. So all transactions are as if one came after the other. A block that raises
    writes nothing. One that only reads never conflicts. At most 32 MiB of keys and values.

    Threads: the one that began it, or the asyncio task.
    """

    def __init__(self, work: Work, engine: Engine) -> None:
        self._work = work
        self._engine = engine

    @property
    def seqno(self) -> int | None:
        """The sequence number of its last write, once it is committed; None when it wrote nothing."""
        return self._work.seqno

    def _may_reserve(self) -> bool:
        return False

    # -- reading

    def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value that `key` has for this transaction, or `default`.

        Raises: as Store.get; ClosedError, InvalidError (not here, or not any more).
        """
        cut, key = self._work.cut(), as_bytes(key, "key")
        write = self._work.writes.get(key, MISSING)
        if write is not MISSING:
            return default if write is None else write[0]
        value = self._engine.get(cut, key)
        self._work.reads.note(key, value is not None)
        return default if value is None else value

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        cut, name = self._work.cut(), as_bytes(key, "key")
        write = self._work.writes.get(name, MISSING)
        if write is not MISSING:
            return write is not None
        there = self._engine.contains(cut, name)
        self._work.reads.note(name, there)
        return there

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the keys that are present, with their values."""
        cut, writes = self._work.cut(), self._work.writes
        asked = [as_bytes(key, "key") for key in keys]
        others = [key for key in asked if key not in writes]
        found = lookup_many(self._engine, cut, others)
        self._work.reads.note_many(others, found)
        found.update({key: write[0] for key in asked if (write := writes.get(key))})
        return {key: found[key] for key in asked if key in found}

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
        """Iterate over (key, value) in key order, as `Store.scan` does, with the writes made until now.

        Only what was looked at is read: who stops after ten rows does not conflict with a write behind the tenth.
        """
        check_limit(limit)
        cut, limits = self._work.cut(), self._limits(*bounds(start, stop, prefix))
        read = self._work.reads.note_scan(*limits, reverse=reverse)
        rows = watched_rows(self._engine, cut, limits, read, reverse=reverse, values=values)
        own = own_rows(self._work.writes, limits, reverse=reverse)
        found = islice(self._watched(merge(rows, own, reverse=reverse), read), limit)
        return found if values else (key for key, _ in found)

    def _limits(self, start: bytes | None, stop: bytes | None) -> Limits:
        """Keep reserved keys, of this transaction's writes too, from who may not see them."""
        if self._may_reserve():
            return start, stop
        return start, RESERVED if stop is None else min(stop, RESERVED)

    def _watched(self, rows: Iterator[tuple[bytes, Any]], read: RangeRead) -> Iterator[Any]:
        for row in rows:
            self._work.cut()
            read.last = row[0]
            yield row
        read.ended = True

    def __iter__(self) -> Iterator[bytes]:
        return self.scan(values=False)

    # -- writing

    def put(self, key: bytes, value: bytes, *, ttl: Ttl = None) -> None:
        """Store a pair at the commit; this transaction sees it at once. A ttl's seconds begin at the commit.

        Raises: TypeError, InvalidError, KeyTooLongError, ValueTooLargeError; the transaction goes on.
        """
        key, value = as_bytes(key, "key"), as_bytes(value, "value")
        check_write(key, len(value), may_reserve=self._may_reserve())
        self._work.write(key, (value, ttl_ms(ttl)))

    def delete(self, key: bytes) -> None:
        """Delete a key at the commit; it need not exist.

        Raises: as put.
        """
        key = as_bytes(key, "key")
        check_write(key, 0, may_reserve=self._may_reserve())
        self._work.write(key, None)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.put(key, value)

    def __delitem__(self, key: bytes) -> None:
        if key not in self:
            raise KeyError(key)
        self.delete(key)

    # -- the end

    def __enter__(self) -> Self:
        self._work.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        try:
            if kind is None:
                self._work.commit()
        finally:
            self._work.end()

    def __repr__(self) -> str:
        return f"<shardkv.Transaction {self._work.state()}, {len(self._work.writes)} writes>"
