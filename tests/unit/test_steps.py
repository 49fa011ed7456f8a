"""The second door's atomic calls answer as the first's do, and leave everything unusual to them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import shardkv
import shardkv.aio
from shardkv._native import DISK, MEMORY, NO_CALLS, NUMBER_TEXT


class Own(bytes):
    """Bytes, but not exactly."""


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Own])
def test_every_bytes_like_key_and_value_takes_part(store: shardkv.Store, kind: type) -> None:
    assert store.add(kind(b"a"), kind(b"1"))
    assert not store.add(kind(b"a"), kind(b"2"))
    entry = store.get_entry(kind(b"a"))
    assert entry == shardkv.Entry(b"1", store.get_entry(b"a").version, None)
    assert store.cas(kind(b"a"), kind(b"41"), entry.version)
    assert not store.cas(kind(b"a"), kind(b"0"), entry.version)
    assert store.incr(kind(b"a")) == 42
    assert store.get_entry(kind(b"none")) is None


def test_a_large_value_and_an_expiry_are_told_by_get_entry(store: shardkv.Store) -> None:
    large = bytes(range(256)) * (3 << 12)
    version = store.put(b"k", large, ttl=100)
    entry = store.get_entry(b"k")
    assert (entry.value, entry.version) == (large, version)
    assert 0 < entry.expires_at - store._engine.clock_ms() / 1000 <= 100


@pytest.mark.parametrize("number", [-(1 << 63), (1 << 63) - 1, 0])
def test_numbers_of_64_bits_are_counted_to_their_ends(store: shardkv.Store, number: int) -> None:
    assert store.incr(b"n", number, 0) == number
    assert store.incr(b"n", 0) == number
    assert store[b"n"] == b"%d" % number


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda store: store.incr(b"n", 1 << 63), shardkv.InvalidError),
        (lambda store: store.incr(b"n", True), TypeError),
        (lambda store: store.incr(b"n", 1.0), TypeError),
        (lambda store: store.incr(b"text"), shardkv.InvalidError),
        (lambda store: store.incr(b""), shardkv.InvalidError),
        (lambda store: store.incr("n"), TypeError),
        (lambda store: store.add(b"k" * 501, b""), shardkv.KeyTooLongError),
        (lambda store: store.add(b"\xff\xff\xff\xffk", b""), shardkv.InvalidError),
        (lambda store: store.add(b"k", "v"), TypeError),
        (lambda store: store.cas(b"k", b"v", -1), shardkv.InvalidError),
        (lambda store: store.cas(b"k", b"v", 1 << 56), shardkv.InvalidError),
        (lambda store: store.cas(b"k", b"v", True), TypeError),
        (lambda store: store.add(b"k", b"v", ack="some"), shardkv.InvalidError),
        (lambda store: store.get_entry(b"\xff\xff\xff\xffk"), shardkv.InvalidError),
        (lambda store: store.get_entry(7), TypeError),
    ],
)
def test_what_is_wrong_is_explained_and_writes_nothing(
    store: shardkv.Store, call: Any, error: type[Exception]
) -> None:
    store[b"text"] = b"no number"
    with pytest.raises(error):
        call(store)
    assert dict(store.items()) == {b"text": b"no number"}


def test_a_closed_door_and_a_closed_store(tmp_path: Path) -> None:
    assert NO_CALLS.get_entry(b"k") is NotImplemented
    assert NO_CALLS.put_if(b"k", b"v", 0, MEMORY) == 0
    assert NO_CALLS.incr(b"k", 1, 0, MEMORY, NUMBER_TEXT) is NotImplemented
    store = shardkv.open(tmp_path / "s")
    store.close()
    for call in (
        lambda: store.get_entry(b"k"),
        lambda: store.add(b"k", b""),
        lambda: store.incr(b"k"),
    ):
        with pytest.raises(shardkv.ClosedError):
            call()


def test_the_plain_case_goes_through_this_door(store: shardkv.Store) -> None:
    calls = store._engine.calls
    seqno = calls.put_if(b"k", b"1", 0, DISK)
    assert seqno is not None
    assert seqno > 0
    assert calls.put_if(b"k", b"2", 0, DISK) is None
    assert calls.get_entry(b"k") == (b"1", seqno, 0)
    assert calls.incr(b"k", 1, 0, DISK, NUMBER_TEXT) == 2
    assert calls.put_if(b"k", b"2", -1, DISK) == 0
    assert calls.put_if(b"k", b"2", 1 << 64, DISK) == 0
    assert calls.incr(b"k", 1 << 63, 0, DISK, NUMBER_TEXT) is NotImplemented


def test_a_limited_store_keeps_its_line(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "s", max_writes_per_s=1_000_000) as store:
        assert store._engine.calls.put_if(b"k", b"1", 0, DISK) == 0
        assert store._engine.calls.incr(b"k", 1, 0, DISK, NUMBER_TEXT) is NotImplemented
        assert store.add(b"k", b"1")
        assert store.incr(b"k") == 2


def test_threads_that_count_and_swap_lose_nothing(store: shardkv.Store) -> None:
    swapped = []
    start = threading.Barrier(8)

    def work(_: int) -> None:
        start.wait()
        for _ in range(50):
            store.incr(b"count")
            while True:
                entry = store.get_entry(b"swap")
                known = (b"0", 0) if entry is None else (entry.value, entry.version)
                if store.cas(b"swap", b"%d" % (int(known[0]) + 1), known[1]):
                    swapped.append(known[1])
                    break

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (store[b"count"], store[b"swap"]) == (b"400", b"400")
    assert len(set(swapped)) == 400


class Owing:
    """A door that appended, and leaves the waiting to the caller."""

    def put_if(self, *_: object) -> int:
        return -7

    def incr(self, *_: object) -> tuple[int, int]:
        return 42, 8


def test_what_was_appended_but_is_not_durable_is_waited_for(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(store, "_calls", Owing())
    monkeypatch.setattr(store._engine, "wait", waited.append)
    assert store.cas(b"k", b"v", 3)
    assert store.add(b"k", b"v")
    assert store.incr(b"k") == 42
    assert waited == [7, 7, 8]


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.add(b"new", b"v"),
        lambda store: store.cas(b"new", b"v", 0),
        lambda store: store.incr(b"new"),
    ],
    ids=["add", "cas", "incr"],
)
def test_a_task_whose_atomic_write_returned_has_it_on_disk(tmp_path: Path, write: Any) -> None:
    async def main() -> None:
        async with shardkv.aio.open(tmp_path / "s") as store:
            for _ in range(20):
                await write(store)
                assert store.durable_seqno() >= (await store.get_entry(b"new")).version
                await store.delete(b"new")

    asyncio.run(main())
