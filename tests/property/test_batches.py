"""Batches of anything: what goes in comes out, whole, in order, after any kind of opening."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

import shardkv

SMALL: dict[str, Any] = {"segment_bytes": (65536, 262144), "unflushed_bytes": 1 << 20}

keys = some.one_of(  # none of them reserved
    some.binary(min_size=1, max_size=3),
    some.builds(lambda fill, size: bytes([fill]) * size, some.integers(0, 254), some.just(500)),
)
values = some.one_of(
    some.binary(max_size=40),
    some.builds(lambda n, fill: bytes([fill]) * n, some.integers(0, 90_000), some.integers(0, 255)),
)
# A write of a batch: a put, or with None a delete.
writes = some.lists(some.tuples(keys, some.one_of(values, some.none())), max_size=40)


@contextmanager
def scratch() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="shardkv-property-"))
    try:
        yield path / "store"
    finally:
        shutil.rmtree(path)


def fill(batch: shardkv.Batch, wanted: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in wanted:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)


def apply(model: dict[bytes, bytes], wanted: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in wanted:
        model.pop(key, None)
        if value is not None:
            model[key] = value


@settings(max_examples=40)
@given(
    batches=some.lists(some.tuples(writes, some.sampled_from(["memory", "disk"])), max_size=5),
    flushes=some.tuples(some.booleans(), some.booleans()),
)
def test_batches_come_back_as_they_went_in(
    batches: list[tuple[list[tuple[bytes, bytes | None]], Any]], flushes: tuple[bool, bool]
) -> None:
    model: dict[bytes, bytes] = {}
    records = 0
    with scratch() as path:
        store = shardkv.open(path, shards=3, **SMALL)
        for wanted, ack in batches:
            with store.batch(ack=ack) as batch:
                fill(batch, wanted)
                assert len(batch) == len(wanted)
                assert batch.nbytes == sum(len(k) + len(v or b"") for k, v in wanted)
            records += len(wanted)
            assert batch.seqno == (records if wanted else None)
            apply(model, wanted)
            assert store.get_many(model) == model
        for flush in flushes:
            assert store.stats().seqno == records
            assert dict(store.items()) == model
            assert len(store) == len(model)
            store.close(flush=flush)
            store = shardkv.open(path, **SMALL)
        assert dict(store.items()) == model
        store.close()


@settings(max_examples=25)
@given(pairs=some.lists(some.tuples(keys, values), max_size=60), kind=some.sampled_from([0, 1, 2]))
def test_put_many_is_a_dict_update(pairs: list[tuple[bytes, bytes]], kind: int) -> None:
    given_as: Any = [pairs, dict(pairs), iter(pairs)][kind]
    with scratch() as path, shardkv.open(path, shards=2, **SMALL) as store:
        seqno = store.put_many(given_as)
        assert seqno == (len(dict(pairs)) if kind == 1 else len(pairs))
        assert dict(store.items()) == dict(pairs)
        assert store.delete_many(key for key, _ in pairs) == len(dict(pairs))
        assert list(store) == []
