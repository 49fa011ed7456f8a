"""Batches: all or nothing, later writes of a key win, one use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv


class Stop(RuntimeError):
    """What a block raises to give its batch up."""


def write_and(batch: shardkv.Batch, then: Callable[[], Any]) -> None:
    """Put one pair in a block that ends as `then` says."""
    with batch:
        batch.put(b"a", b"1")
        then()


def stop(error: type[BaseException] = Stop) -> None:
    raise error


def test_a_batch_is_applied_when_its_block_ends(store: shardkv.Store) -> None:
    store.put(b"old", b"1")
    with store.batch() as batch:
        batch.put(b"a", b"1")
        batch.put(b"b", b"2")
        batch.delete(b"old")
        batch.delete(b"none")
        assert dict(store.items()) == {b"old": b"1"}
        assert batch.seqno is None
        assert len(batch) == 4
        assert repr(batch) == "<shardkv.Batch of 4 writes, 11 bytes>"
    assert dict(store.items()) == {b"a": b"1", b"b": b"2"}
    assert batch.seqno == 5
    assert len(batch) == 0


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, GeneratorExit])
def test_a_block_that_raises_writes_nothing(
    store: shardkv.Store, error: type[BaseException]
) -> None:
    batch = store.batch()
    with pytest.raises(error):
        write_and(batch, lambda: stop(error))
    assert batch.seqno is None
    assert list(store) == []
    assert store.stats().seqno == 0


def test_the_last_write_of_a_key_wins(store: shardkv.Store) -> None:
    for _ in range(2):
        with store.batch() as batch:
            for turn in range(5):
                batch.put(b"put", b"%d" % turn)
                batch.delete(b"put")
                batch.put(b"deleted", b"%d" % turn)
                batch.delete(b"deleted")
            batch.put(b"put", b"last")
        assert dict(store.items()) == {b"put": b"last"}
        assert len(store) == 1
        store.flush()


def test_an_empty_batch_writes_nothing(store: shardkv.Store) -> None:
    with store.batch() as batch:
        pass
    assert batch.seqno is None
    assert store.stats().seqno == 0


@pytest.mark.parametrize(
    "bad",
    [
        lambda batch: batch.put(b"", b""),
        lambda batch: batch.put("str", b""),
        lambda batch: batch.put(b"k", None),
        lambda batch: batch.put(b"k" * 501, b""),
        lambda batch: batch.put(b"k", bytes((32 << 20) + 1)),
        lambda batch: batch.delete(b""),
        lambda batch: batch.delete(1),
        lambda batch: batch.delete(b"k" * 501),
    ],
)
def test_a_refused_write_leaves_the_batch_as_it_was(
    store: shardkv.Store, bad: Callable[[Any], None]
) -> None:
    with store.batch() as batch:
        batch.put(b"a", b"1")
        with pytest.raises((ValueError, TypeError)):
            bad(batch)
        assert (len(batch), batch.nbytes) == (1, 2)
        batch.put(b"b", b"2")
    assert dict(store.items()) == {b"a": b"1", b"b": b"2"}


def test_a_batch_is_used_once(store: shardkv.Store) -> None:
    applied, dropped = store.batch(), store.batch()
    write_and(applied, list)
    with pytest.raises(Stop):
        write_and(dropped, stop)
    store.delete(b"a")
    for batch in (applied, dropped):
        for write in (lambda batch=batch: batch.put(b"b", b""), lambda b=batch: b.delete(b"b")):
            with pytest.raises(shardkv.ClosedError, match="applied or dropped"):
                write()
        batch.__exit__(None, None, None)
    assert list(store) == []


def test_a_batch_of_a_store_that_closed_is_refused(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    with pytest.raises(shardkv.ClosedError):
        write_and(store.batch(), store.close)
    with shardkv.open(tmp_path / "store") as store:
        assert list(store) == []


def test_a_batch_over_all_shards_is_there_after_an_opening(tmp_path: Path) -> None:
    pairs = {b"%d" % n: b"%d" % n * 10 for n in range(2000)}
    for ack in ("memory", "disk"):
        store = shardkv.open(tmp_path / ack, shards=7)
        with store.batch(ack=ack) as batch:
            for key, value in pairs.items():
                batch.put(key, value)
        assert batch.seqno == len(pairs)
        assert {store.shard_of(key) for key in pairs} == set(range(7))
        store.close(flush=False)
        with shardkv.open(tmp_path / ack) as store:
            assert dict(store.items()) == pairs
