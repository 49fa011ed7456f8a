"""Namespaces: typed keys and values, apart from all others, in the same store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from shardkv._native import NUMBER_MSGPACK, NUMBER_TEXT
from shardkv.batch import Batch
from shardkv.coder import Coder
from shardkv.errors import InvalidError
from shardkv.expiry import Ttl
from shardkv.inner import InnerBatch, InnerSnapshot, InnerStore, InnerTransaction
from shardkv.locks import KeyLock
from shardkv.mapping import MISSING, OrderedMapping
from shardkv.options import Ack
from shardkv.snapshot import Snapshot
from shardkv.ticket import Ticket
from shardkv.transacting import RETRIES
from shardkv.transaction import Transaction
from shardkv.typed import (
    BatchView,
    OwnBatch,
    OwnSnapshot,
    OwnTransaction,
    SnapshotView,
    TransactionView,
    TypedReads,
)
from shardkv.typed_atomic import TypedAtomic
from shardkv.typed_feed import Beginning, TypedChange, TypedWatch

if TYPE_CHECKING:
    from shardkv.store import Store

Result = TypeVar("Result")
Pairs = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


class Namespace(TypedReads, TypedAtomic, OrderedMapping[Any, Any]):
    """A mapping of typed keys to typed values inside a store, made by `Store.namespace`. Ordered by key.

    Its calls are those of the store, with the same promises; here stands only what differs. What a codec cannot encode
    is a TypeError or InvalidError that names the path inside the key or value, and nothing is written.

    Threads: every method may be called from any thread.
    """

    def __init__(self, store: Any, coder: Coder) -> None:
        number = NUMBER_MSGPACK if coder.codec == "msgpack" else NUMBER_TEXT
        super().__init__(coder, store._inner(number))
        self.store: Store = store

    @property
    def codec(self) -> str:
        """The codec of its values."""
        return self._coder.codec

    @property
    def key_codec(self) -> str:
        """The codec of its keys."""
        return self._coder.key_codec

    def __reduce__(self) -> tuple[Any, ...]:
        again = partial(self.store.namespace, self.name, codec=self.codec, key_codec=self.key_codec)
        return again, ()

    # -- writing

    def put(
        self,
        key: Any,
        value: Any,
        *,
        ttl: Ttl = None,
        if_version: int | None = None,
        ack: Ack | None = None,
    ) -> int:
        """Store `value` under `key` and return the key's new version."""
        coder = self._coder
        return self._raw.put(  # type: ignore[no-any-return]
            coder.key(key), coder.encode(value), ttl=ttl, if_version=if_version, ack=ack
        )

    def submit(self, key: Any, value: Any, *, ttl: Ttl = None) -> Ticket:
        """Append a put and return at once; the ticket says when it is durable."""
        return self._raw.submit(self._coder.key(key), self._coder.encode(value), ttl=ttl)  # type: ignore[no-any-return]

    def put_many(self, items: Pairs, *, ttl: Ttl = None, ack: Ack | None = None) -> int:
        """Store many pairs, in order, in atomic chunks; return the last sequence number."""
        pairs = items.items() if isinstance(items, Mapping) else items
        return self._raw.put_many(map(self._coder.pair, pairs), ttl=ttl, ack=ack)  # type: ignore[no-any-return]

    def delete(self, key: Any, *, ack: Ack | None = None) -> bool:
        """Delete a key; say whether it was there."""
        return self._raw.delete(self._coder.key(key), ack=ack)  # type: ignore[no-any-return]

    def delete_many(self, keys: Iterable[Any], *, ack: Ack | None = None) -> int:
        """Delete many keys; return how many were there."""
        return self._raw.delete_many(map(self._coder.key, keys), ack=ack)  # type: ignore[no-any-return]

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Delete a key and return what it held; `default`, or KeyError, when it is absent. Atomic."""
        stored = self._raw.pop(self._coder.key(key), None)
        if stored is not None:
            return self._coder.decode(stored)
        if default is MISSING:
            raise KeyError(key)
        return default

    def clear(self) -> None:
        """Delete every key, a block at a time; values are not read. Not atomic."""
        first, end = self._coder.bounds(None, None, None)
        self._raw.delete_many(self._raw.scan(first, end, values=False))

    def batch(self, *, ack: Ack | None = None) -> OwnBatch:
        """Return a batch of this namespace; for several, use `store.batch()` and `using`."""
        return OwnBatch(self._coder, InnerBatch(self.store.batch(ack=ack)))

    # -- reading

    def snapshot(self) -> OwnSnapshot:
        """Return one cut of this namespace; for several, use `store.snapshot()` and `using`."""
        return OwnSnapshot(self._coder, self._raw.snapshot())

    def using(self, scope: Any) -> Any:
        """Return this namespace's view of a batch, snapshot or transaction of the same store.

        Raises: TypeError; InvalidError when it belongs to another store.
        """
        for kind, inner, view in VIEWS:
            if isinstance(scope, kind):
                if scope._engine.handle != self.store._live().handle:
                    raise InvalidError(f"the {kind.__name__.lower()} belongs to another store")
                return view(self._coder, inner(scope))
        raise TypeError(f"using takes a batch, snapshot or transaction, not {type(scope).__name__}")

    def transaction(self, *, ack: Ack | None = None) -> OwnTransaction:
        """Return a transaction of this namespace; for several, use `store.transaction()` and `using`."""
        return OwnTransaction(self._coder, InnerTransaction(self.store.transaction(ack=ack)))

    def run_transaction(
        self,
        fn: Callable[[TransactionView], Result],
        *,
        retries: int = RETRIES,
        ack: Ack | None = None,
    ) -> Result:
        """Call `fn(transaction)` and commit; again when that meets a conflict. As Store.run_transaction."""
        return self.store.run_transaction(
            lambda transaction: fn(self.using(transaction)), retries=retries, ack=ack
        )

    # -- the mapping

    def __len__(self) -> int:
        """Count the keys. Cost: a scan of them."""
        return sum(1 for _ in self._raw.scan(*self._coder.bounds(None, None, None), values=False))

    def __bool__(self) -> bool:
        return any(True for _ in self.scan(limit=1, values=False))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Store all pairs of a mapping or an iterable, as put_many does; keywords are str keys."""
        if args:
            self.put_many(*args)
        if kwargs:
            self.put_many(kwargs)

    # -- changes

    def changes(self, since: int = 0, *, prefix: Any = None) -> Iterator[TypedChange]:
        """Iterate over the changes of this namespace that were made up to now, oldest first. As Store.changes."""
        here = Beginning(self._coder, prefix)
        return here.of(self._raw.changes(since, prefix=here.first))

    def watch(
        self, prefix: Any = None, *, since: int | None = None, timeout: float | None = None
    ) -> TypedWatch:
        """Follow this namespace: iterate over its changes as they become durable. As Store.watch."""
        here = Beginning(self._coder, prefix)
        raw = self._raw.watch(here.first, since=since, timeout=timeout)
        return TypedWatch(self._coder, raw, here)

    # -- locks

    def lock(self, key: Any, timeout: float | None = None) -> KeyLock:
        """Return the lock of a key: `with` or `async with`. As Store.lock."""
        return self.store.lock(self._coder.key(key), timeout)

    def locks(self, keys: Iterable[Any], timeout: float | None = None) -> KeyLock:
        """Return one lock for several keys. As Store.locks."""
        return self.store.locks(map(self._coder.key, keys), timeout)


VIEWS: tuple[tuple[type[Any], Callable[[Any], Any], Callable[[Coder, Any], Any]], ...] = (
    (Batch, InnerBatch, BatchView),
    (Snapshot, InnerSnapshot, SnapshotView),
    (Transaction, InnerTransaction, TransactionView),
)


class Namespaces(InnerStore):
    """What a store has of namespaces."""

    def namespace(self, name: str, *, codec: str = "msgpack", key_codec: str = "auto") -> Namespace:
        """Return a namespace; make it when there is none of that name.

        Args:
            name: 1..200 characters, no control characters.
            codec: of values: "msgpack", "bytes", "json", or "pickle".
            key_codec: of keys: "auto" (str, int, bytes and tuples of them), "tuple", "str", "int" or "bytes".
        Raises: InvalidError when it was made with other codecs; TypeError; ReadOnlyError (there is none, and none is
            made); ClosedError.
        Cost: the first time a read, or a synced batch that makes it.
        """
        coder = self._shared.catalogue.open(self._inner(), name, codec, key_codec)
        return Namespace(self, coder)

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces, in order. Raises: as scan."""
        return self._shared.catalogue.names(self._inner())

    def drop_namespace(self, name: str) -> bool:
        """Take a namespace out of the store, with all its keys; say whether there was one.

        It is gone at once, and whoever still uses it gets ClosedError. Its keys are deleted a block at a time; if that
        is interrupted, the next opening goes on with it.

        Raises: TypeError, InvalidError (name); as put: it is dropped all the same when that was written.
        Cost: a write and a scan of its keys; as delete_many.
        """
        return self._shared.catalogue.drop(self._inner(), name)
