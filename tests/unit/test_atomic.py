"""One key in one step: add, cas, incr, get_entry; what they answer, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv._native import NO_SNAPSHOT

BIG = (1 << 63) - 1
SMALL = -(1 << 63)


@pytest.fixture(params=["log", "shard"])
def settle(request: pytest.FixtureRequest, store: shardkv.Store) -> Callable[[], None]:
    """Return what makes the keys so far lie in the log or in a shard."""
    return store.flush if request.param == "shard" else lambda: None


def test_add_stores_what_is_absent_and_nothing_else(
    store: shardkv.Store, settle: Callable[[], None]
) -> None:
    assert store.add(b"key", b"first") is True
    settle()
    assert store.add(b"key", b"second") is False
    assert store[b"key"] == b"first"
    store.delete(b"key")
    settle()
    assert store.add(b"key", b"") is True
    assert store[b"key"] == b""


def test_cas_stores_for_the_version_that_the_key_has(
    store: shardkv.Store, settle: Callable[[], None]
) -> None:
    version = store.put(b"key", b"1")
    settle()
    assert store.cas(b"key", b"2", version) is True
    settle()
    assert store.cas(b"key", b"3", version) is False
    assert store.cas(b"key", b"3", 0) is False
    assert store.cas(b"none", b"3", version) is False
    assert store.cas(b"none", b"0", 0) is True
    assert (store[b"key"], store[b"none"]) == (b"2", b"0")


def test_an_entry_tells_value_version_and_expiry(
    store: shardkv.Store, settle: Callable[[], None]
) -> None:
    version = store.put(b"key", b"value")
    settle()
    assert store.get_entry(b"key") == shardkv.Entry(b"value", version, None)
    assert store.get_entry(b"none") is None
    store.delete(b"key")
    settle()
    assert store.get_entry(b"key") is None


def test_a_version_grows_with_every_write_and_outlives_an_opening(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        versions = [store.put(b"key", b"%d" % n) for n in range(3)]
        assert versions == sorted(set(versions))
    with shardkv.open(tmp_path / "store") as store:
        assert store.get_entry(b"key") == shardkv.Entry(b"2", versions[-1], None)
        assert store.cas(b"key", b"3", versions[-1])


def test_put_with_a_version_is_a_put_or_a_conflict(
    store: shardkv.Store, settle: Callable[[], None]
) -> None:
    first = store.put(b"key", b"1", if_version=0)
    settle()
    second = store.put(b"key", b"2", if_version=first, ttl=60, ack="memory")
    assert second > first
    with pytest.raises(
        shardkv.ConflictError, match=f"has version {second}; version {first}"
    ) as caught:
        store.put(b"key", b"3", if_version=first)
    assert caught.value.version == second
    with pytest.raises(shardkv.ConflictError, match="absence was expected"):
        store.put(b"key", b"3", if_version=0)
    with pytest.raises(shardkv.ConflictError, match="the key is absent") as caught:
        store.put(b"none", b"3", if_version=second)
    assert caught.value.version == 0
    entry = store.get_entry(b"key")
    assert entry is not None
    assert (entry.value, entry.version, entry.expires_at is None) == (b"2", second, False)


def test_touch_and_persist_change_the_expiry_alone(
    store: shardkv.Store, settle: Callable[[], None]
) -> None:
    value = bytes(range(256)) * 400
    version = store.put(b"key", value, ttl=10)
    settle()
    assert store.touch(b"key", 1000) is True
    assert 990 < (store.ttl(b"key") or 0) <= 1000
    settle()
    assert store.persist(b"key") is True
    assert store.ttl(b"key") is None
    entry = store.get_entry(b"key")
    assert entry is not None
    assert (entry.value, entry.expires_at) == (value, None)
    assert entry.version > version


def test_what_is_absent_cannot_be_touched(store: shardkv.Store) -> None:
    assert store.touch(b"none", 5) is False
    assert store.persist(b"none") is False
    with pytest.raises(KeyError):
        store.ttl(b"none")
    assert store.stats().seqno == 0


def test_incr_keeps_the_expiry_of_what_is_there(
    store: shardkv.Store, settle: Callable[[], None]
) -> None:
    assert store.incr(b"n", ttl=100) == 1
    settle()
    assert store.incr(b"n", ttl=5000) == 2
    assert 90 < (store.ttl(b"n") or 0) <= 100
    store.put(b"m", b"1")
    assert store.incr(b"m", ttl=5) == 2
    assert store.ttl(b"m") is None


def test_add_and_cas_take_a_ttl(store: shardkv.Store) -> None:
    assert store.add(b"a", b"", ttl=100)
    entry = store.get_entry(b"a")
    assert entry is not None
    assert 90 < (store.ttl(b"a") or 0) <= 100
    assert store.cas(b"a", b"", entry.version, ttl=1000)
    assert 990 < (store.ttl(b"a") or 0) <= 1000


def test_incr_counts_from_the_default(store: shardkv.Store, settle: Callable[[], None]) -> None:
    assert store.incr(b"n") == 1
    settle()
    assert store.incr(b"n", 41) == 42
    assert store.incr(b"n", -50) == -8
    assert store.incr(b"m", 2, default=40) == 42
    assert store.incr(b"m", 0, default=7) == 42
    assert (store[b"n"], store[b"m"]) == (b"-8", b"42")


@pytest.mark.parametrize(("begin", "delta"), [(BIG, 1), (SMALL, -1), (BIG, BIG), (SMALL, SMALL)])
def test_a_sum_beyond_64_bits_is_refused(store: shardkv.Store, begin: int, delta: int) -> None:
    store.put(b"n", b"%d" % begin)
    seqno = store.stats().seqno
    for key in (b"n", b"none"):
        with pytest.raises(shardkv.InvalidError, match="more than 64 bits"):
            store.incr(key, delta, begin)
    assert store.stats().seqno == seqno
    assert store.incr(b"n", 0) == begin


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"1.0", b"+1", b" 1", b"01", b"-0", b"1\n", b"9223372036854775808", b"\x01"],
)
def test_what_is_no_number_is_not_counted_on(store: shardkv.Store, value: bytes) -> None:
    version = store.put(b"n", value)
    with pytest.raises(shardkv.InvalidError, match="not a decimal integer"):
        store.incr(b"n")
    assert store.get_entry(b"n") == shardkv.Entry(value, version, None)


WRONG: list[tuple[type[Exception], Callable[[Any], Any]]] = [
    (TypeError, lambda s: s.add("key", b"")),
    (TypeError, lambda s: s.add(b"key", None)),
    (TypeError, lambda s: s.cas(b"key", b"", "1")),
    (TypeError, lambda s: s.cas(b"key", b"", True)),
    (TypeError, lambda s: s.cas(b"key", b"", None)),
    (TypeError, lambda s: s.incr(b"key", 1.0)),
    (TypeError, lambda s: s.incr(b"key", True)),
    (TypeError, lambda s: s.incr(b"key", 1, b"0")),
    (TypeError, lambda s: s.get_entry("key")),
    (TypeError, lambda s: s.put(b"key", b"", if_version="1")),
    (TypeError, lambda s: s.put("key", b"", if_version=0)),
    (TypeError, lambda s: s.touch(b"key", "1")),
    (TypeError, lambda s: s.add(b"key", b"", ttl=True)),
    (shardkv.InvalidError, lambda s: s.put(b"key", b"", if_version=-1)),
    (shardkv.InvalidError, lambda s: s.touch(b"key", 0)),
    (shardkv.InvalidError, lambda s: s.cas(b"key", b"", 0, ttl=-1)),
    (shardkv.InvalidError, lambda s: s.incr(b"key", ttl=float("nan"))),
    (shardkv.KeyTooLongError, lambda s: s.touch(b"k" * 501, 1)),
    (shardkv.InvalidError, lambda s: s.cas(b"key", b"", -1)),
    (shardkv.InvalidError, lambda s: s.cas(b"key", b"", 1 << 56)),
    (shardkv.InvalidError, lambda s: s.incr(b"key", BIG + 1)),
    (shardkv.InvalidError, lambda s: s.incr(b"key", 1, SMALL - 1)),
    (shardkv.InvalidError, lambda s: s.add(b"", b"")),
    (shardkv.InvalidError, lambda s: s.add(b"key", b"", ack="some")),
    (shardkv.KeyTooLongError, lambda s: s.incr(b"k" * 501)),
    (shardkv.KeyTooLongError, lambda s: s.get_entry(b"k" * 501)),
    (shardkv.ValueTooLargeError, lambda s: s.cas(b"key", bytes((32 << 20) + 1), 0)),
]


@pytest.mark.parametrize(("error", "call"), WRONG)
def test_bad_arguments_write_nothing(
    store: shardkv.Store, error: type[Exception], call: Callable[[Any], Any]
) -> None:
    with pytest.raises(error):
        call(store)
    assert store.stats().seqno == 0


CALLS: dict[str, Callable[[shardkv.Store], Any]] = {
    "add": lambda s: s.add(b"new", b""),
    "cas": lambda s: s.cas(b"new", b"", 0),
    "incr": lambda s: s.incr(b"new"),
    "put": lambda s: s.put(b"new", b"", if_version=0),
    "get_or_set": lambda s: s.get_or_set(b"new", lambda: b"made"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_is_closed_or_read_only_refuses(tmp_path: Path, call: str) -> None:
    store = shardkv.open(tmp_path / "store")
    store.close()
    with pytest.raises(shardkv.ClosedError):
        CALLS[call](store)
    with pytest.raises(shardkv.ClosedError):
        store.get_entry(b"new")
    with (
        shardkv.open(tmp_path / "store", readonly=True) as store,
        pytest.raises(shardkv.ReadOnlyError),
    ):
        CALLS[call](store)


@pytest.mark.parametrize("call", CALLS)
def test_an_atomic_write_is_there_after_an_opening(tmp_path: Path, call: str) -> None:
    for ack in ("disk", "memory"):
        with shardkv.open(tmp_path / ack, ack=ack) as store:
            CALLS[call](store)
            entry = store.get_entry(b"new")
        with shardkv.open(tmp_path / ack) as store:
            assert store.get_entry(b"new") == entry is not None


def test_a_conditional_batch_is_all_or_nothing_over_all_shards(store: shardkv.Store) -> None:
    keys = [b"%d" % n for n in range(20)]
    versions = {key: store.put(key, b"old") for key in keys}
    store.flush()
    how = shardkv._native.terms(shardkv._native.DISK)
    ops = [*((key, b"new") for key in keys), b"4"]
    exact = [(key, version, version) for key, version in versions.items()]

    def apply(conditions: list[tuple[bytes, int, int]], ops: list[Any] = ops) -> int:
        blob = shardkv._native.pack([ops, conditions])
        return store._engine.apply_if(NO_SNAPSHOT, blob, how, 1.0)

    with pytest.raises(shardkv.ConflictError, match="condition 20 is absent") as caught:
        apply([*exact, (b"none", 1, 1 << 60)])
    assert (caught.value.version, caught.value.offset) == (0, 20)
    with pytest.raises(shardkv.ConflictError, match=r"condition 0 has version 1\b") as caught:
        apply([(keys[0], 0, 0), *exact])
    assert caught.value.version == 1
    assert set(store.values()) == {b"old"}
    assert apply([*exact, (b"none", 0, 0)], []) == 20  # nothing to write: the conditions hold
    assert apply([*exact, (b"none", 0, 0)]) == 41
    assert dict(store) == {key: b"new" for key in keys if key != b"4"}


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x90",
        b"\x93\x90\x90\x90",
        b"\x92\x90\xc0",
        b"\x92\x90\x91\xc0",
        b"\x92\x90\x91\x93\xc4\x01k\x00",
        b"\x92\x90\x91\x93\xa1k\x00\x00",
        b"\x92\x90\x91\x93\xc4\x01k\xff\x00",
        b"\x92\x90\xdd\xff\xff\xff\xff",
        b"\x92\xc0\x90",
    ],
)
def test_a_malformed_conditional_batch_is_refused(store: shardkv.Store, blob: bytes) -> None:
    with pytest.raises(TypeError):
        store._engine.apply_if(NO_SNAPSHOT, blob, shardkv._native.terms(shardkv._native.DISK), 1.0)
    with pytest.raises(shardkv.InvalidError):
        store._engine.apply_if(
            NO_SNAPSHOT,
            b"\x92\x90\x91\x93\xc4\x00\x00\x00",
            shardkv._native.terms(shardkv._native.DISK),
            1.0,
        )
    assert store.stats().seqno == 0
