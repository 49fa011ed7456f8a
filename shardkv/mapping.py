"""The mapping half of stores and namespaces: what makes them a MutableMapping, in key order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    ValuesView,
)
from typing import Any, Final, TypeVar, overload

from shardkv._native import NO_SNAPSHOT, as_bytes
from shardkv.expiry import ExpiringKeys

MISSING: Final[Any] = object()

K = TypeVar("K")
V = TypeVar("V")


class OrderedMapping(MutableMapping[K, V]):
    """What follows for any store or namespace from put, delete, pop and scan."""

    @abstractmethod
    def put(self, key: K, value: V) -> int:
        """Store one pair."""

    @abstractmethod
    def delete(self, key: K) -> bool:
        """Delete one key."""

    @abstractmethod
    def scan(
        self, *, reverse: bool = False, limit: int | None = None, values: bool = True
    ) -> Iterator[Any]:
        """Iterate in key order."""

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def __delitem__(self, key: K) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[K]:
        return self.scan(values=False)

    def __reversed__(self) -> Iterator[K]:
        return self.scan(values=False, reverse=True)

    def popitem(self) -> tuple[K, V]:
        """Delete the first key and return it with what it held. Atomic: each pair goes to one caller.

        Raises: KeyError when there is none; as pop.
        Cost: a scan of one row, from the front, and a pop.
        """
        gone: Any = object()
        while keys := list(self.scan(limit=1, values=False)):
            value = self.pop(keys[0], gone)
            if value is not gone:
                return keys[0], value
        raise KeyError("it is empty")

    def items(self) -> StoreItems:
        """Return a view of the pairs, in key order."""
        return StoreItems(self)

    def values(self) -> StoreValues:
        """Return a view of the values, in key order."""
        return StoreValues(self)


class BytesMapping(OrderedMapping[bytes, bytes], ExpiringKeys):
    """Everything that follows from get, put, delete, scan and the many-key calls."""

    @abstractmethod
    def put_many(self, items: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]) -> int:
        """Store many pairs."""

    @abstractmethod
    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete many keys."""

    @overload
    def pop(self, key: bytes) -> bytes: ...
    @overload
    def pop(self, key: bytes, default: Any) -> Any: ...
    def pop(self, key: bytes, default: Any = MISSING) -> Any:
        """Delete a key and return what it held; `default`, or KeyError, when it is absent. Atomic."""
        value = self._live().pop(as_bytes(key, "key"), self._level(None), self._timeout)
        if value is not None:
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        """Say whether the key is there. Raises: as get."""
        return self._live().contains(NO_SNAPSHOT, as_bytes(key, "key"))

    def __len__(self) -> int:
        """Count the keys, exactly; those that have expired count until they are removed.

        Cost: the first time after writes, a look into the shards for each key that is not flushed.
        """
        return self._live().count()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Store all pairs of a mapping or an iterable, as put_many does."""
        if kwargs:
            raise TypeError("keys are bytes: keyword arguments cannot name them")
        if args:
            self.put_many(*args)

    def clear(self) -> None:
        """Delete every key, a block at a time; values are not read, and namespaces stay. Not atomic."""
        self.delete_many(self)
        if len(self):  # what has expired counts until it is removed
            self.purge_expired()


class StoreItems(ItemsView[Any, Any]):
    """The pairs of a store or namespace, in key order, read by scanning."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self._mapping.scan())


class StoreValues(ValuesView[Any]):
    """The values of a store or namespace, in key order, read by scanning."""

    _mapping: Any

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping.scan())
