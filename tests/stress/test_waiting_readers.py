"""P3: no reader is shown, or told the absence of, what a power cut could still take back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aio.loops import make_unwritable

import shardkv

KEY = b"key"


def in_cut(store: shardkv.Store, read: Callable[[shardkv.Snapshot], Any]) -> Any:
    with store.snapshot() as cut:
        return read(cut)


READS: dict[str, Callable[[shardkv.Store], Any]] = {
    "get": lambda store: store.get(KEY),
    "[]": lambda store: store[KEY],
    "in": lambda store: KEY in store,
    "get_many": lambda store: store.get_many([b"none", KEY]),
    "len": len,
    "first row": lambda store: next(store.scan()),
    "first key": lambda store: next(iter(store)),
    "short scan": lambda store: list(store.scan(KEY, limit=1)),
    "short scan backwards": lambda store: list(store.scan(reverse=True, limit=5, values=False)),
    "get of a snapshot": lambda store: in_cut(store, lambda cut: cut.get(KEY)),
    "scan of a snapshot": lambda store: in_cut(store, lambda cut: list(cut.scan())),
    "delete of what is there": lambda store: store.delete(KEY, ack="memory"),
    "pop": lambda store: store.pop(KEY),
    "get_entry": lambda store: store.get_entry(KEY),
    "add of what is there": lambda store: store.add(KEY, b"", ack="memory"),
    "cas of another version": lambda store: store.cas(KEY, b"", 1 << 50, ack="memory"),
}


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[shardkv.Store]:
    """A store whose segments can be written no more; closing it says so."""
    store = shardkv.open(tmp_path / "store", shards=1)
    store.put(b"kept", b"1")
    make_unwritable(store.path)
    yield store
    with pytest.raises(shardkv.PoisonedError):
        store.close()


@pytest.mark.parametrize("read", READS)
def test_a_reader_of_a_disk_record_waits_for_its_sync(tmp_path: Path, read: str) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        for turn in range(100):
            ticket = store.submit(KEY, bytes([turn]) * 3000)
            READS[read](store)
            assert ticket.done(), f"turn {turn}"


@pytest.mark.parametrize("read", READS)
def test_a_reader_is_never_shown_what_could_not_be_synced(
    failing: shardkv.Store, read: str
) -> None:
    ticket = failing.submit(KEY, b"never durable")
    with pytest.raises(shardkv.PoisonedError):
        ticket.wait()
    with pytest.raises(shardkv.PoisonedError):
        pytest.fail(f"{read} gave {READS[read](failing)!r}")
    assert failing[b"kept"] == b"1"


@pytest.mark.parametrize(
    "there",
    [lambda store: KEY in store, lambda store: list(store.scan(KEY, limit=1))],
    ids=["in", "scan"],
)
def test_the_absence_of_a_deleted_key_is_waited_for_too(
    tmp_path: Path, there: Callable[[shardkv.Store], Any]
) -> None:
    with shardkv.open(tmp_path / "store", shards=1) as store:
        for turn in range(50):
            store.put(KEY, b"%d" % turn)
            other = threading.Thread(target=store.delete, args=(KEY,))
            other.start()
            while there(store):
                pass
            assert store.stats().durable_seqno == 2 * turn + 2, "told before it was durable"
            other.join()


def test_a_short_scan_waits_for_what_it_meets_and_for_nothing_else(
    failing: shardkv.Store,
) -> None:
    """It once waited for all that was appended."""
    ticket = failing.submit(KEY, b"never durable")
    with pytest.raises(shardkv.PoisonedError):
        ticket.wait()
    assert list(failing.scan(stop=KEY)) == [(b"kept", b"1")]
    assert list(failing.scan(limit=1)) == [(b"kept", b"1")]
    assert list(failing.scan(b"z", limit=1)) == []
    with pytest.raises(shardkv.PoisonedError):
        failing.scan(KEY, b"kez")


def test_a_long_scan_waits_for_its_whole_cut(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        store.put_many({b"%03d" % n: b"" for n in range(200)})
        for turn in range(50):
            ticket = store.submit(b"last", bytes([turn]) * 3000)
            rows = store.scan(values=False)
            assert ticket.done(), f"turn {turn}"
            assert list(rows)[-1] == b"last"


def test_a_memory_record_is_shown_without_a_sync(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=1) as store:
        for turn in range(200):
            store.put(KEY, b"%d" % turn, ack="memory")
            assert store[KEY] == b"%d" % turn
        store.sync()
        before = store.stats().log.syncs
        for _ in range(1000):
            store.get(KEY)
        assert store.stats().log.syncs <= before + 1
