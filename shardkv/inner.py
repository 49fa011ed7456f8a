"""Stores, batches, snapshots and transactions as namespaces use them: their calls may meet reserved keys."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from shardkv import _native
from shardkv.batch import Batch
from shardkv.opened import Opened
from shardkv.snapshot import Snapshot
from shardkv.transaction import Transaction


class InnerBatch(Batch):
    """A batch that takes reserved keys; what it collects is that of the batch it was made from."""

    def __init__(self, batch: Batch) -> None:
        self.__dict__ = vars(batch)

    def _may_reserve(self) -> bool:
        return True


class InnerSnapshot(Snapshot):
    """A snapshot that shows reserved keys; the one it was made from decides how long."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._engine = snapshot._engine.reserved()
        self.seqno = snapshot.seqno

    def _live(self) -> Any:
        return self._snapshot._live()

    def close(self) -> None:
        """Close the one it was made from."""
        self._snapshot.close()


class InnerTransaction(Transaction):
    """A transaction that reads and writes reserved keys; what it collects is that of the one it was made from."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction._work, transaction._engine.reserved())

    def _may_reserve(self) -> bool:
        return True


class InnerStore(Opened):
    """What a store has of its twin for namespaces."""

    _twins: dict[int, Any]
    _closed: bool

    @abstractmethod
    def _bind(self, calls: _native.Calls) -> None: ...

    def _inner(self, number: int = _native.NUMBER_TEXT) -> Any:
        """Return this store with calls that may meet reserved keys. It is closed together with this one.

        Args: number: how its incr reads and writes numbers.
        """
        engine = self._live().reserved()
        twin = self._twins.get(number)
        if twin is None:
            twin = object.__new__(type(self))
            vars(twin).update(vars(self), _engine=engine, _opened=False, _twins={}, _number=number)
            twin._bind(engine.calls)
            twin = self._twins.setdefault(number, twin)  # another thread's, if it was quicker
            if self._closed:  # meanwhile, by another thread
                self._close_inner()
        return twin

    def _close_inner(self) -> None:
        for twin in list(self._twins.values()):
            vars(twin)["_closed"] = True
            twin._bind(_native.NO_CALLS)
        self._twins.clear()
