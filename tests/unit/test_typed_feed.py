"""The change feed of a namespace: typed, of this namespace alone, with deletes told from a stored None."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import shardkv


def keys_of(changes: Any) -> list[Any]:
    return [change.key for change in changes]


def test_changes_are_decoded_and_of_one_namespace(store: shardkv.Store) -> None:
    ns, other = store.namespace("x"), store.namespace("y")
    first = ns.put("a", {"n": (1, 2)})
    other.put("a", 1)
    store.put(b"a", b"plain")
    ns.put("b", None, ttl=1000)
    ns.delete("a")
    changes = list(ns.changes())
    assert keys_of(changes) == ["a", "b", "a"]
    assert [(c.value, c.deleted) for c in changes] == [
        ({"n": (1, 2)}, False),
        (None, False),
        (None, True),
    ]
    assert changes[0].seqno == first
    assert changes[0].expires_at is None
    assert changes[1].expires_at is not None
    assert keys_of(ns.changes(first)) == ["b", "a"]
    assert keys_of(store.changes()) == [b"a"]


def test_a_prefix_is_typed(store: shardkv.Store) -> None:
    """As bytes, ("a",) also begins what belongs to ("a\\0",)."""
    ns = store.namespace("x")
    for key in (("a", 1), ("a\0", 1), ("ab", 1), ("a",), "a", "ab", "b"):
        ns[key] = key
    assert keys_of(ns.changes(prefix=("a",))) == [("a", 1), ("a",)]
    assert keys_of(ns.changes(prefix="a")) == ["a", "ab"]
    with ns.watch(("a",), since=0) as watch:
        assert [watch.get(5).key, watch.get(5).key] == [("a", 1), ("a",)]
        with pytest.raises(TimeoutError):
            watch.get(0)
    for call in (lambda: ns.changes(prefix=1.5), lambda: ns.watch(1.5)):
        with pytest.raises(TypeError, match="key: float"):
            call()


def test_a_watch_waits_for_what_comes(store: shardkv.Store) -> None:
    ns = store.namespace("x")
    ns["before"] = 1
    seen: list[Any] = []
    with ns.watch() as watch:
        thread = threading.Thread(target=lambda: seen.extend((c.key, c.value) for c in watch))
        thread.start()
        ns["a"], store.namespace("y")["b"], ns[("c", 1)] = 1, 2, 3
        while len(seen) < 2:
            threading.Event().wait(0.001)
        watch.close()
        thread.join()
    assert seen == [("a", 1), (("c", 1), 3)]
    assert watch.seqno == store.stats().seqno


def test_a_watch_goes_on_where_another_came_to(store: shardkv.Store) -> None:
    ns = store.namespace("x")
    with ns.watch(since=0) as watch:
        ns.put_many({n: n for n in range(10)})
        first = [watch.get(5).key for _ in range(4)]
        came_to = watch.seqno
    with ns.watch(since=came_to, timeout=0) as watch:
        second = [watch.get(5).key for _ in range(6)]
        with pytest.raises(TimeoutError):
            next(watch)
    assert sorted(first + second) == list(range(10))
    with pytest.raises(shardkv.ClosedError):
        watch.get(0)
