"""Puts: one, one that is not waited for, many."""

from __future__ import annotations

from typing import Any

from shardkv import bulk
from shardkv._native import LATER, as_bytes, conflict, terms
from shardkv.atomic import AtomicKeys, check_version
from shardkv.expiry import Ttl, ttl_ms
from shardkv.options import Ack
from shardkv.ticket import Ticket


class WritingKeys(AtomicKeys):
    """What a store has of puts, and of everything that writes one key."""

    _ack: int
    _ticket: type[Ticket]
    # The door into C, as in _calls.
    _put: Any
    _submit: Any

    def put(
        self,
        key: bytes,
        value: bytes,
        *,
        ttl: Ttl = None,
        if_version: int | None = None,
        ack: Ack | None = None,
    ) -> int:
        """Store `value` under `key` and return the write's sequence number, the key's new version.

        Args:
            key: 1..500 bytes, the first four not all 0xff.
            value: 0..32 MiB. Both may be anything bytes-like; str is a TypeError.
            ttl: seconds that the record lives; None: for ever.
            if_version: store only if the key has this version; 0: only if it is absent.
            ack: what to wait for, as in `shardkv.open`; None: what the store was opened with.
        Raises: TypeError; InvalidError (key, ttl, ack); KeyTooLongError; ValueTooLargeError; ReadOnlyError;
            OverloadedError; FullError; ClosedError; ConflictError (the key has another version, `version` of the
            error): nothing was written. AckError: it is durable here, and which peers lack it. Only after
            PoisonedError, or Ctrl-C, is the outcome unknown.
        Durability: as `ack` says, once this returns.
        Cost: one shared sync for each group of waiting writers.
        """
        level = self._ack if ack is None else self._level(ack)
        if if_version is not None:
            return self._put_expecting(key, value, if_version, ttl_ms(ttl), level)
        if ttl is not None:
            return self._finish(0, key, value, level, ttl_ms(ttl))
        seqno = self._put(key, value, level)
        return seqno if seqno > 0 else self._finish(seqno, key, value, level)

    def submit(self, key: bytes, value: bytes, *, ttl: Ttl = None) -> Ticket:
        """Append a put and return at once; the ticket says when it is durable.

        Raises: as put.
        Durability: when `Ticket.wait()` returns, or a later `sync()`; by itself within milliseconds.
        Cost: no sync of its own.
        """
        if ttl is None:
            ticket: Ticket | None = self._submit(key, value, self._ticket, self._engine)
            if ticket is not None:
                return ticket
        return self._ticket(self._engine, self._finish(0, key, value, LATER, ttl_ms(ttl)))

    def _finish(self, seqno: int, key: bytes, value: bytes, level: int, ttl_ms: int = 0) -> int:
        if seqno < 0:  # appended; what is left is to wait
            self._engine.reach(-seqno, level, self._timeout)
            return -seqno
        key, value = as_bytes(key, "key"), as_bytes(value, "value")
        return self._live().put(key, value, level, self._timeout, ttl_ms)

    def put_many(self, items: bulk.Pairs, *, ttl: Ttl = None, ack: Ack | None = None) -> int:
        """Store many pairs, in order; return the last sequence number.

        Each chunk of up to 8,192 pairs or 4 MiB is one atomic batch; what was stored before an error stays. Use
        `batch()` for all or nothing.

        Raises: as put; a TypeError names the item.
        Cost: one crossing into C for each chunk, at least one sync at the end.
        """
        return bulk.put_many(self._live(), items, self._level(ack), self._timeout, ttl_ms(ttl))

    def _put_expecting(
        self, key: bytes, value: bytes, expected: int, lifetime: int, level: int
    ) -> int:
        how = terms(level, lifetime)
        done, version = self._put_if(key, value, check_version(expected), how)
        if not done:
            raise conflict(version, expected)
        return version
