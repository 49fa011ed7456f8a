"""Views of a store's pairs and values that read by scanning, not key by key."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from shardkv.store import Store


class StoreItems(ItemsView[bytes, bytes]):
    """The pairs of a store, in key order."""

    _mapping: Store

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return cast("Iterator[tuple[bytes, bytes]]", self._mapping.scan())


class StoreValues(ValuesView[bytes]):
    """The values of a store, in key order."""

    _mapping: Store

    def __iter__(self) -> Iterator[bytes]:
        return (value for _, value in self._mapping.scan())
