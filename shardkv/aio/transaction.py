"""Transactions for asyncio: as `shardkv.Transaction`; reads and the end of the block are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

from shardkv import transaction
from shardkv.aio.flights import made
from shardkv.aio.line import Line
from shardkv.errors import ConflictError
from shardkv.expiry import Ttl
from shardkv.transacting import RETRIES, check_retries, pause
from shardkv.work import Work

ROWS_AT_ONCE = 1024


class Inside:
    """What a transaction shows and takes, as bytes or as a namespace sees it."""

    def __init__(self, line: Line, raw: Any) -> None:
        self._line = line
        self._raw = raw

    async def get(self, key: Any, default: Any = None) -> Any:
        """Return the value that `key` has for this transaction, or `default`."""
        return await self._line.read(self._raw.get, key, default)

    async def contains(self, key: Any) -> bool:
        """Say whether `key` is present for this transaction."""
        return bool(await self._line.read(self._raw.__contains__, key))

    async def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the keys that are present, with their values."""
        found: dict[Any, Any] = await self._line.read(self._raw.get_many, keys)
        return found

    def scan(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        values: bool = True,
    ) -> AsyncIterator[Any]:
        """Iterate with `async for` over (key, value) in key order, with the writes made until now."""
        return resting(
            self._raw.scan(start, stop, prefix=prefix, reverse=reverse, limit=limit, values=values)
        )

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.scan(values=False)

    def put(self, key: Any, value: Any, *, ttl: Ttl = None) -> None:
        """Store a pair at the commit; this transaction sees it at once. Does not wait."""
        self._raw.put(key, value, ttl=ttl)

    def delete(self, key: Any) -> None:
        """Delete a key at the commit; it need not exist. Does not wait."""
        self._raw.delete(key)

    def __repr__(self) -> str:
        return repr(self._raw).replace("shardkv.", "shardkv.aio.", 1)


class Transaction(Inside):
    """Reads of one cut plus own writes; the end of the `async with` block applies all writes as one, and awaits them.

    That happens only if nothing that was read has changed meanwhile; else ConflictError, and nothing is written. A task
    that is cancelled before the end of the block has written nothing; one that is cancelled while it waits for
    durability leaves its writes in place, all of them.

    Tasks: the one that began it.
    """

    def __init__(self, line: Line, ack: int) -> None:
        self._work = Work(line.view._shared, line.view._live(), ack, 0)
        super().__init__(line, transaction.Transaction(self._work, self._work.engine))

    @property
    def seqno(self) -> int | None:
        """The sequence number of its last write, once it is committed; None when it wrote nothing."""
        return self._work.seqno

    async def __aenter__(self) -> Self:
        with ExitStack() as undo:
            await self._line.read(self._begin, undo)
            undo.pop_all()
        return self

    def _begin(self, undo: ExitStack) -> None:
        self._work.begin()
        undo.callback(self._work.end)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:  # one that wrote nothing waits for no room
                end = self._line.write if self._work.writes else self._line.read
                await end(self._work.commit)
        finally:
            self._work.end()


class OwnTransaction(Inside):
    """A transaction of one namespace: `async with`; as `Transaction`."""

    def __init__(self, transaction: Transaction, raw: Any) -> None:
        super().__init__(transaction._line, raw)
        self._transaction = transaction

    @property
    def seqno(self) -> int | None:
        """The sequence number of its last write, once it is committed; None when it wrote nothing."""
        return self._transaction.seqno

    async def __aenter__(self) -> Self:
        await self._transaction.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transaction.__aexit__(kind, error, trace)


async def resting(rows: Iterator[Any]) -> AsyncIterator[Any]:
    """Yield rows; let other tasks run now and then."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)


class Transactions:
    """What a store for asyncio has of transactions."""

    def _line(self) -> Line:
        raise NotImplementedError

    def _level(self, ack: Any) -> int:
        raise NotImplementedError

    def transaction(self, *, ack: Any = None) -> Transaction:
        """Return a transaction for an `async with` block. As Store.transaction."""
        return Transaction(self._line(), self._level(ack))

    async def run_transaction(
        self, fn: Callable[[Transaction], Any], *, retries: int = RETRIES, ack: Any = None
    ) -> Any:
        """Call `fn(transaction)`, await what it returns, and commit; again when that meets a conflict.

        Args, Returns, Raises: as Store.run_transaction.
        """
        check_retries(retries)
        for turn in range(retries + 1):
            attempt = self.transaction(ack=ack)
            try:
                async with attempt:
                    return await made(partial(fn, attempt))
            except ConflictError:
                if not attempt._work.conflicted or turn == retries:
                    raise
            await asyncio.sleep(pause(turn))
        raise AssertionError("the last turn returns or raises")
