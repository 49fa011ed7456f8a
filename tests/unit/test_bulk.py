"""Many keys at once: chunks, their order, what stays when one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

import shardkv
from shardkv.bulk import CHUNK_BYTES, CHUNK_ITEMS

EDGES = [0, 1, CHUNK_ITEMS - 1, CHUNK_ITEMS, CHUNK_ITEMS + 1, 2 * CHUNK_ITEMS]


def pairs(count: int) -> dict[bytes, bytes]:
    return {b"%06d" % n: b"%d" % (n * n) for n in range(count)}


@pytest.mark.parametrize("count", EDGES)
@pytest.mark.parametrize("ack", ["memory", "disk"])
def test_any_number_of_pairs_is_stored(store: shardkv.Store, count: int, ack: Any) -> None:
    assert store.put_many(pairs(count), ack=ack) == count
    if ack == "disk":
        assert store.stats().durable_seqno == count
    assert store.get_many(pairs(count)) == pairs(count)
    assert len(store) == count
    assert store.delete_many([*pairs(count), b"none"], ack=ack) == count
    if ack == "disk":
        assert store.stats().durable_seqno == 2 * count
    assert list(store) == []


FORMS: dict[str, Any] = {
    "dict": lambda given: given,
    "mapping": MappingProxyType,
    "items": dict.items,
    "list": lambda given: list(given.items()),
    "lists": lambda given: [list(pair) for pair in given.items()],
    "generator": lambda given: (pair for pair in given.items()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [3, CHUNK_ITEMS + 3])
def test_pairs_come_in_any_form(store: shardkv.Store, form: str, count: int) -> None:
    assert store.put_many(FORMS[form](pairs(count))) == count
    assert dict(store.items()) == pairs(count)


def test_nothing_is_no_write(store: shardkv.Store) -> None:
    store.put(b"a", b"b")
    for nothing in ({}, [], iter(())):
        assert store.put_many(nothing) == 1
        assert store.delete_many(nothing) == 0
        assert store.get_many(nothing) == {}
    assert store.stats().seqno == 1


def test_the_last_pair_of_a_key_wins_also_across_chunks(store: shardkv.Store) -> None:
    store.put_many((b"%d" % (n % 10), b"%d" % n) for n in range(3 * CHUNK_ITEMS))
    last = 3 * CHUNK_ITEMS - 1
    assert dict(store.items()) == {b"%d" % (n % 10): b"%d" % n for n in range(last - 9, last + 1)}


def test_large_pairs_are_cut_into_chunks_by_bytes(store: shardkv.Store) -> None:
    large = {b"%d" % n: bytes([n]) * (CHUNK_BYTES // 3) for n in range(10)}
    large[b"huge"] = bytes(2 * CHUNK_BYTES)
    assert store.put_many(large) == len(large)
    assert dict(store.items()) == large


def broken(count: int, bad: object) -> Iterator[Any]:
    yield from pairs(count).items()
    yield bad
    yield from pairs(2 * CHUNK_ITEMS).items()


@pytest.mark.parametrize("bad", [(b"a", "str"), (b"", b""), (b"k" * 501, b""), None], ids=type)
def test_a_refused_item_leaves_whole_chunks(store: shardkv.Store, bad: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        store.put_many(broken(CHUNK_ITEMS + 5, bad))
    assert dict(store.items()) == pairs(CHUNK_ITEMS)


def test_an_iterable_that_fails_leaves_whole_chunks(store: shardkv.Store) -> None:
    def failing() -> Iterator[tuple[bytes, bytes]]:
        yield from pairs(CHUNK_ITEMS + 5).items()
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        store.put_many(failing())
    assert len(store) in (0, CHUNK_ITEMS)


def test_a_delete_of_many_counts_what_was_there_once(store: shardkv.Store) -> None:
    store.put_many(pairs(100))
    store.flush()
    store.put_many({b"%06d" % n: b"" for n in range(50, 150)})
    keys = [b"%06d" % n for n in range(200)]
    assert store.delete_many(key for key in keys + keys) == 150
    assert store.delete_many(keys) == 0


def test_deletes_before_a_refused_key_stay(store: shardkv.Store) -> None:
    store.put_many(pairs(10))
    with pytest.raises(TypeError, match="item 2"):
        store.delete_many([b"000000", b"000001", 3, b"000002"])  # type: ignore[list-item]
    assert len(store) == 8


ODD: list[Any] = ["str", 1.5, 1 << 64, memoryview(b"abc")[::2], object()]


@pytest.mark.parametrize("odd", ODD, ids=type)
@pytest.mark.parametrize("number", [0, CHUNK_ITEMS - 1, CHUNK_ITEMS + 5])
def test_the_item_that_is_no_bytes_is_named(store: shardkv.Store, odd: Any, number: int) -> None:
    """It was counted from the beginning of its chunk, and what cannot be packed had no number."""
    given = list(pairs(number + 3).items())
    given[number] = b"odd", odd
    with pytest.raises(TypeError, match=f"^item {number}: ") as told:
        store.put_many(given)
    assert isinstance(told.value, shardkv.WrongTypeError)
    assert told.value.offset == number
    with pytest.raises(TypeError, match=f"^item {number}: "):
        store.delete_many(value if value is odd else key for key, value in given)


def test_the_item_is_named_also_in_a_chunk_that_is_cut(store: shardkv.Store) -> None:
    given: list[Any] = [(b"%d" % n, bytes(3 << 20)) for n in range(2)] + [(b"c", "str")]
    with pytest.raises(TypeError, match="item 2:"):
        store.put_many(given)


def test_many_reads_find_what_is_there_wherever_it_is(store: shardkv.Store) -> None:
    store.put_many(pairs(1000))
    store.flush()
    store.put_many({b"%06d" % n: b"new" for n in range(500)})
    store.delete_many([b"%06d" % n for n in range(0, 1000, 3)])
    expected = {b"%06d" % n: b"new" if n < 500 else b"%d" % (n * n) for n in range(1000) if n % 3}
    asked = [b"%06d" % n for n in range(2000)]
    assert store.get_many(asked) == expected
    assert store.get_many(asked + asked) == expected
    with store.snapshot() as cut:
        store.clear()
        assert cut.get_many(asked) == expected
    assert store.get_many(asked) == {}


@pytest.mark.parametrize("ttl", [None, 60])
def test_large_pairs_of_a_generator_are_not_gathered(
    store: shardkv.Store, ttl: float | None
) -> None:
    """Eight thousand of a megabyte were read, and packed, before the first was written."""
    most = 0

    def pairs() -> Iterator[tuple[bytes, bytes]]:
        nonlocal most
        for number in range(48):
            most = max(most, number - store.stats().seqno)
            yield b"%d" % number, bytes(1 << 20)

    store.put_many(pairs(), ttl=ttl)
    assert most < 16
    assert len(store) == 48
