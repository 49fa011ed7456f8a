"""Namespaces: the whole surface of a store with typed keys and values, apart from everything else."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv._native import NUMBER_MSGPACK

PAIRS: dict[Any, Any] = {
    b"blob": b"\0\xff",
    "": None,
    "text": [1, (2, "x"), {"a": 1.5}],
    ("user", 7): {"name": "Ada"},
    ("user", 7, "mail"): True,
    ("user", 70): (),
    -5: "minus",
    0: False,
    2**100: 2**63,
}


@pytest.fixture
def ns(store: shardkv.Store) -> shardkv.Namespace:
    return store.namespace("things")


@pytest.fixture
def filled(store: shardkv.Store, ns: shardkv.Namespace) -> shardkv.Namespace:
    """A namespace between two others and beside plain keys."""
    for name in ("before", "zafter"):
        store.namespace(name).put_many({"other": name, -5: "x", ("user", 7): "x"})
    store.put_many({b"\xff": b"plain", b"a": b"plain"})
    ns.put_many(PAIRS)
    return ns


def test_what_was_put_is_got_in_the_order_of_keys(filled: shardkv.Namespace) -> None:
    assert list(filled.items()) == list(PAIRS.items())
    assert list(filled) == list(filled.keys()) == list(PAIRS)
    assert list(filled.values()) == list(PAIRS.values())
    assert list(reversed(filled)) == list(reversed(PAIRS))
    assert {key: filled[key] for key in PAIRS} == PAIRS
    assert {key: filled.get(key) for key in PAIRS} == PAIRS
    assert filled.get_many([*PAIRS, "absent"]) == PAIRS
    assert len(filled) == len(PAIRS)
    assert all(key in filled for key in PAIRS)
    assert isinstance(filled, MutableMapping)


def test_none_is_a_value_and_no_absence(ns: shardkv.Namespace) -> None:
    """A stored None once looked like a key that is not there."""
    ns["none"] = None
    assert "none" in ns
    assert ns["none"] is None
    assert ns.get("none", 5) is None
    assert ns.get_many(["none"]) == {"none": None}
    assert ns.pop("none", 5) is None
    assert ns.pop("none", 5) == 5


def test_an_absent_key_is_as_in_a_dict(filled: shardkv.Namespace) -> None:
    for call in (
        lambda: filled["absent"],
        lambda: filled.pop("absent"),
        lambda: filled.__delitem__("absent"),
    ):
        with pytest.raises(KeyError, match="absent"):
            call()
    assert filled.get("absent") is None
    assert filled.get("absent", 3) == 3
    assert "absent" not in filled
    assert filled.delete("absent") is False


def test_writes_of_all_kinds(ns: shardkv.Namespace) -> None:
    first = ns.put("a", 1)
    assert ns.put("b", 2, ack="memory") == first + 1
    assert ns.submit("c", 3).wait() == first + 2
    assert ns.put_many([("d", 4), ["e", 5]]) == first + 4
    ns.update({"f": 6}, g=7)
    ns["h"] = 8
    assert dict(ns) == dict(zip("abcdefgh", range(1, 9), strict=True))
    del ns["a"]
    assert ns.delete("b") is True
    assert ns.delete_many(["c", "d", "x"]) == 2
    assert ns.pop("e") == 5
    assert ns.setdefault("f", 0) == 6
    assert ns.setdefault("z", 0) == 0
    assert ns.popitem() == ("f", 6)
    assert dict(ns) == {"g": 7, "h": 8, "z": 0}
    assert ns == {"g": 7, "h": 8, "z": 0}


def test_a_time_to_live_goes_through(ns: shardkv.Namespace, store: shardkv.Store) -> None:
    for call in (
        lambda: ns.put("a", 1, ttl=0),
        lambda: ns.submit("a", 1, ttl=-1),
        lambda: ns.put_many({"a": 1}, ttl=float("nan")),
    ):
        with pytest.raises(shardkv.InvalidError, match="ttl"):
            call()
    ns.put("a", 1, ttl=50)
    ns.submit("b", 1, ttl=50)
    ns.put_many({"c": 1}, ttl=50)
    assert len(ns) == 3


SCANS: list[tuple[dict[str, Any], list[Any]]] = [
    ({}, list(PAIRS)),
    ({"start": ("user", 7)}, list(PAIRS)[3:]),
    ({"stop": ("user", 7)}, list(PAIRS)[:3]),
    ({"start": "", "stop": "z"}, ["", "text"]),
    ({"start": 0}, [0, 2**100]),
    ({"prefix": ("user",)}, list(PAIRS)[3:6]),
    ({"prefix": ("user", 7)}, list(PAIRS)[3:5]),
    ({"prefix": ("use",)}, []),
    ({"prefix": ()}, list(PAIRS)[3:6]),
    ({"prefix": "te"}, ["text"]),
    ({"prefix": ""}, ["", "text"]),
    ({"prefix": b""}, [b"blob"]),
    ({"prefix": ("user",), "start": ("user", 8)}, [("user", 70)]),
    ({"prefix": ("user",), "stop": ("user", 70)}, list(PAIRS)[3:5]),
    ({"start": 5, "stop": 1}, []),
    ({"limit": 2}, list(PAIRS)[:2]),
    ({"limit": 0}, []),
]


@pytest.mark.parametrize(("asked", "keys"), SCANS, ids=str)
@pytest.mark.parametrize("flushed", [False, True])
def test_scans(
    filled: shardkv.Namespace, asked: dict[str, Any], keys: list[Any], flushed: bool
) -> None:
    if flushed:
        filled.store.flush()
    with filled.snapshot() as cut:
        for source in (filled, cut):
            scan: Callable[..., Iterator[Any]] = source.scan
            assert list(scan(**asked, values=False)) == keys
            assert list(scan(**asked)) == [(key, PAIRS[key]) for key in keys]
            if "limit" not in asked:
                assert list(scan(**asked, values=False, reverse=True)) == keys[::-1]


def test_namespaces_and_plain_keys_do_not_meet(
    filled: shardkv.Namespace, store: shardkv.Store
) -> None:
    assert dict(store) == {b"\xff": b"plain", b"a": b"plain"}
    assert len(store) == 2
    store.clear()
    assert dict(filled) == PAIRS
    filled.clear()
    assert len(filled) == 0
    assert not filled
    for name in ("before", "zafter"):
        assert dict(store.namespace(name)) == {"other": name, -5: "x", ("user", 7): "x"}


def test_clear_goes_block_by_block_and_reads_no_values(
    ns: shardkv.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ns.put_many(((n, n) for n in range(20_000)), ack="memory")
    blocks: list[int] = []
    engine = ns.store._engine.reserved()
    delete_many, open_scan = engine.delete_many, engine.open_scan

    def counted(blob: bytes, *rest: Any) -> int:
        blocks.append(delete_many(blob, *rest))
        return blocks[-1]

    def keys_alone(snapshot: Any, start: Any, stop: Any, flags: int) -> Any:
        assert flags & shardkv._native.KEYS_ONLY
        return open_scan(snapshot, start, stop, flags)

    monkeypatch.setattr(engine, "delete_many", counted)
    monkeypatch.setattr(engine, "open_scan", keys_alone)
    ns.clear()
    assert sum(blocks) == 20_000
    assert len(blocks) == 3
    assert not list(ns)


def test_a_lock_is_that_of_the_key_in_this_namespace(
    ns: shardkv.Namespace, store: shardkv.Store
) -> None:
    other = store.namespace("other")
    stripe = ns.lock("k")._numbers
    assert stripe == ns.locks(["k"])._numbers
    assert stripe != other.lock("k")._numbers
    with ns.lock("k", timeout=1), ns.locks([("a", 1), 5]):
        ns.put("k", 1)


AS_KEY: dict[str, Callable[[shardkv.Namespace, Any], Any]] = {
    "put": lambda ns, it: ns.put(it, 1),
    "submit": lambda ns, it: ns.submit(it, 1),
    "put_many": lambda ns, it: ns.put_many({"ok": 1, it: 1}),
    "update": lambda ns, it: ns.update({it: 1}),
    "set": lambda ns, it: ns.__setitem__(it, 1),
    "setdefault": lambda ns, it: ns.setdefault(it, 1),
    "delete": lambda ns, it: ns.delete(it),
    "delete_many": lambda ns, it: ns.delete_many([it]),
    "pop": lambda ns, it: ns.pop(it, None),
    "get": lambda ns, it: ns.get(it),
    "get_many": lambda ns, it: ns.get_many(["ok", it]),
    "in": lambda ns, it: it in ns,
    "start": lambda ns, it: ns.scan(it),
    "stop": lambda ns, it: ns.scan(stop=it),
    "prefix": lambda ns, it: ns.scan(prefix=it),
    "lock": lambda ns, it: ns.lock(it),
    "locks": lambda ns, it: ns.locks(["ok", it]),
    "batch": lambda ns, it: in_batch(ns, lambda batch: batch.put(it, 1)),
    "delete in a batch": lambda ns, it: in_batch(ns, lambda batch: batch.delete(it)),
    "snapshot": lambda ns, it: ns.snapshot().get(it),
}


def in_batch(ns: shardkv.Namespace, write: Callable[[Any], None]) -> None:
    with ns.batch() as batch:
        batch.put("ok", 1)
        write(batch)


@pytest.mark.parametrize("call", AS_KEY.values(), ids=AS_KEY)
def test_a_bad_key_is_refused_everywhere_and_nothing_is_written(
    ns: shardkv.Namespace, call: Callable[[shardkv.Namespace, Any], Any]
) -> None:
    before = ns.store.stats().seqno
    with pytest.raises(TypeError, match=r"key\[1\]: float cannot be ordered"):
        call(ns, ("a", 1.5))
    with pytest.raises(shardkv.KeyTooLongError, match="494 bytes when encoded; at most 493"):
        call(ns, "x" * 493)
    assert ns.store.stats().seqno == before


def test_the_longest_key_works(ns: shardkv.Namespace) -> None:
    ns["x" * 492] = 1
    assert list(ns.items()) == [("x" * 492, 1)]


@pytest.mark.parametrize(
    "call",
    [
        lambda ns, it: ns.put("a", it),
        lambda ns, it: ns.submit("a", it),
        lambda ns, it: ns.put_many({"ok": 1, "a": it}),
        lambda ns, it: ns.__setitem__("a", it),
        lambda ns, it: ns.setdefault("a", it),
        lambda ns, it: in_batch(ns, lambda batch: batch.put("a", it)),
    ],
)
def test_a_bad_value_is_refused_by_its_path_and_nothing_is_written(
    ns: shardkv.Namespace, call: Any
) -> None:
    before = ns.store.stats().seqno
    with pytest.raises(TypeError, match=r"value\['a'\]\[3\]: set cannot be encoded by codec msg"):
        call(ns, {"a": [0, 1, 2, {3}]})
    assert ns.store.stats().seqno == before
    assert not ns


@pytest.mark.parametrize("item", [1, "ab", ("a",), ("a", 1, 2), {"a": 1}])
def test_an_item_that_is_no_pair_is_refused(ns: shardkv.Namespace, item: Any) -> None:
    with pytest.raises(TypeError, match="pair of key and value"):
        ns.put_many([item])


def test_a_namespace_made_beside_another_thread_is_closed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads made the twin through which namespaces call; one of them was forgotten, and outlived its store."""
    path, bind, names = tmp_path / "store", shardkv.Store._bind, list[shardkv.Namespace]()
    with shardkv.open(path), shardkv.open(path) as store:

        def bind_later(twin: shardkv.Store, calls: Any) -> None:
            bind(twin, calls)
            if not names and vars(twin)["_number"] == NUMBER_MSGPACK:
                monkeypatch.undo()
                names.append(store.namespace("things"))

        monkeypatch.setattr(shardkv.Store, "_bind", bind_later)
        names.append(store.namespace("things"))
        store.close()
        for namespace in names:
            with pytest.raises(shardkv.ClosedError):
                namespace.get("key")


def test_a_closed_store_closes_its_namespaces(tmp_path: Path) -> None:
    """Also while another handle keeps the engine open."""
    with shardkv.open(tmp_path / "store") as other:
        store = shardkv.open(tmp_path / "store")
        ns = store.namespace("things")
        store.close()
        for call in (
            lambda: ns.put("a", 1),
            lambda: ns.get("a"),
            lambda: ns.scan(),
            lambda: ns.batch(),
            lambda: ns.lock("a"),
            lambda: store.namespace("things"),
            lambda: store.namespaces(),
            lambda: store.drop_namespace("things"),
        ):
            with pytest.raises(shardkv.ClosedError, match="closed"):
                call()
        assert other.namespaces() == ["things"]


@pytest.mark.parametrize("codec", ["bytes", "json"])
def test_a_namespace_goes_through_pickle_with_its_store(store: shardkv.Store, codec: str) -> None:
    """With codec bytes it came back without its way to reserved keys."""
    ns = store.namespace("x", codec=codec, key_codec="str")
    again = pickle.loads(pickle.dumps(ns))
    value = b"1" if codec == "bytes" else 1
    with again.store:
        again["a"] = value
        assert (again.name, again.codec, again.key_codec) == ("x", codec, "str")
        assert ns["a"] == value


@pytest.mark.parametrize(
    ("codec", "key_codec", "pairs"),
    [
        ("bytes", "str", {"": b"", "a": b"\0", "é": b"x"}),
        ("json", "int", {-(2**70): [1], -1: None, 0: {"a": 1.5}, 2**70: "x"}),
        ("pickle", "bytes", {b"": {1}, b"\0": 1j, b"\xff": Ellipsis}),
        ("msgpack", "tuple", {(): 1, ("a",): (2,), ("a", 0): 3, ("b",): 4}),
    ],
)
def test_every_codec_serves_a_namespace(
    store: shardkv.Store, codec: str, key_codec: str, pairs: dict[Any, Any]
) -> None:
    ns = store.namespace("x", codec=codec, key_codec=key_codec)
    ns.put_many(pairs)
    assert list(ns.items()) == list(pairs.items())
    assert (ns.name, ns.codec, ns.key_codec) == ("x", codec, key_codec)
    assert repr(ns) == "<shardkv.Namespace 'x'>"
