"""The atomic calls of a namespace: typed, and exact when many threads use one key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import shardkv


@pytest.fixture
def ns(store: shardkv.Store) -> shardkv.Namespace:
    return store.namespace("things")


def test_an_entry_has_the_typed_value_and_the_version(ns: shardkv.Namespace) -> None:
    assert ns.get_entry("a") is None
    version = ns.put("a", (1, None))
    assert ns.get_entry("a") == shardkv.Entry((1, None), version, None)
    ns.put("a", None, ttl=100)
    entry = ns.get_entry("a")
    assert entry is not None
    assert entry.value is None
    assert entry.expires_at is not None


def test_conditional_writes(ns: shardkv.Namespace) -> None:
    assert ns.add("a", 1) is True
    assert ns.add("a", 2) is False
    entry = ns.get_entry("a")
    assert entry is not None
    assert ns.cas("a", 3, entry.version + 1) is False
    assert ns.cas("a", 3, entry.version) is True
    with pytest.raises(shardkv.ConflictError):
        ns.put("a", 4, if_version=entry.version)
    assert ns["a"] == 3
    now = ns.get_entry("a")
    assert now is not None
    assert ns.put("a", 4, if_version=now.version) > now.version
    with pytest.raises(shardkv.InvalidError):
        ns.cas("a", 5, -1)


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_incr_counts_what_put_stored_and_get_reads(store: shardkv.Store, codec: str) -> None:
    ns = store.namespace("counts", codec=codec)
    assert [ns.incr("n"), ns.incr("n", 5), ns.incr("n", -10), ns.incr(("m", 1), default=7)] == [
        1,
        6,
        -4,
        8,
    ]
    assert dict(ns) == {"n": -4, ("m", 1): 8}
    ns["n"] = 2**63 - 2
    assert ns.incr("n") == 2**63 - 1
    for wrong, value in ((1, 2**63 - 1), (1, "7"), (1, 1.5), (1, None), (1, [1]), (1, True)):
        ns["n"] = value
        with pytest.raises(shardkv.InvalidError):
            ns.incr("n", wrong)
        assert ns["n"] == value
    with pytest.raises(TypeError):
        ns.incr("n", 1.5)  # type: ignore[arg-type]


def test_incr_of_other_codecs(store: shardkv.Store) -> None:
    plain = store.namespace("plain", codec="bytes")
    plain["n"] = b"41"
    assert plain.incr("n") == 42
    assert plain["n"] == b"42"
    pickled = store.namespace("pickled", codec="pickle")
    with pytest.raises(shardkv.InvalidError, match="codec pickle"):
        pickled.incr("n")
    assert "n" not in pickled


def test_many_threads_count_one_key(ns: shardkv.Namespace) -> None:
    def count() -> None:
        for _ in range(50):
            ns.incr("n", ack="memory")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ns["n"] == 400


def test_times_to_live(ns: shardkv.Namespace) -> None:
    ns.put("a", 1, ttl=100)
    left = ns.ttl("a")
    assert left is not None
    assert 0 < left <= 100
    assert ns.touch("a", 1000) is True
    assert (ns.ttl("a") or 0) > 100
    assert ns.persist("a") is True
    assert ns.ttl("a") is None
    assert ns.touch("absent", 5) is False
    assert ns.persist("absent") is False
    with pytest.raises(KeyError, match="absent"):
        ns.ttl("absent")
    assert ns["a"] == 1


def test_an_expired_key_is_absent(ns: shardkv.Namespace) -> None:
    ns.put("a", 1, ttl=100)
    ns.put("b", 2)
    with ns.snapshot() as cut:
        ns.store._engine.shift_clock(200_000)
        assert "a" not in ns
        assert dict(ns) == {"b": 2}
        assert len(ns) == 1
        assert ns.add("a", 3)
        assert dict(cut.scan()) == {"a": 1, "b": 2}
    assert ns.pop("a") == 3


def test_get_or_set_calls_once_and_gives_what_is_stored(ns: shardkv.Namespace) -> None:
    calls: list[int] = []

    def make() -> Any:
        calls.append(1)
        return None

    assert ns.get_or_set("a", make, 100) is None
    assert ns.get_or_set("a", make) is None
    assert len(calls) == 1
    assert ns.ttl("a") is not None
    assert ns.setdefault("a", 5) is None
    assert ns.setdefault("b") is None
    assert ns.setdefault("c", (1,)) == (1,)
    with pytest.raises(TypeError, match="value: set cannot"):
        ns.get_or_set("d", lambda: {1})
    assert "d" not in ns


CALLS: dict[str, Callable[[shardkv.Namespace, Any, Any], Any]] = {
    "get_entry": lambda ns, key, _: ns.get_entry(key),
    "add": lambda ns, key, value: ns.add(key, value),
    "cas": lambda ns, key, value: ns.cas(key, value, 0),
    "put if_version": lambda ns, key, value: ns.put(key, value, if_version=0),
    "incr": lambda ns, key, _: ns.incr(key),
    "touch": lambda ns, key, _: ns.touch(key, 1),
    "persist": lambda ns, key, _: ns.persist(key),
    "ttl": lambda ns, key, _: ns.ttl(key),
    "get_or_set": lambda ns, key, value: ns.get_or_set(key, lambda: value),
    "setdefault": lambda ns, key, value: ns.setdefault(key, value),
}
WITH_VALUE = ("add", "cas", "put if_version", "get_or_set", "setdefault")


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_key_or_value_writes_nothing(ns: shardkv.Namespace, name: str) -> None:
    call, before = CALLS[name], ns.store.stats().seqno
    with pytest.raises(TypeError, match="key: float"):
        call(ns, 1.5, 1)
    with pytest.raises(shardkv.KeyTooLongError, match="when encoded"):
        call(ns, "x" * 500, 1)
    if name in WITH_VALUE:
        with pytest.raises(TypeError, match=r"value\[0\]: object"):
            call(ns, "a", [object()])
    assert ns.store.stats().seqno == before
