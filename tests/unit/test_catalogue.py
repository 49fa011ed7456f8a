"""The catalogue: names, ids, codecs, and namespaces that are dropped, over reopening and from many threads."""

from __future__ import annotations

import gc
import os
import re
import signal
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv._native import Engine
from shardkv.catalogue import CATALOGUE, DROPPED, NEXT_ID
from shardkv.registry import registry

DOCUMENT = Path(__file__).resolve().parents[2] / "csrc/FORMAT.md"


def stored(store: shardkv.Store) -> dict[bytes, bytes]:
    """All reserved keys, as they are."""
    return dict(store._inner().scan(prefix=b"\xff\xff\xff\xff"))


def test_namespaces_are_listed_and_found_again(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        assert store.namespaces() == []
        for name in ("b", "é", "a b", "a"):
            store.namespace(name)[name] = 1
        assert store.namespaces() == ["a", "a b", "b", "é"]
    with shardkv.open(tmp_path / "store", create=False) as store:
        assert store.namespaces() == ["a", "a b", "b", "é"]
        for name in store.namespaces():
            assert dict(store.namespace(name)) == {name: 1}


@pytest.mark.parametrize("reopened", [False, True])
def test_codecs_are_checked_when_it_is_opened_again(tmp_path: Path, reopened: bool) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store.namespace("x", codec="json", key_codec="int")
        if reopened:
            store.close()
            store = shardkv.open(tmp_path / "store")
        said = "made with codec 'json' and key_codec 'int', not '{}' and '{}'"
        with pytest.raises(shardkv.InvalidError, match=said.format("msgpack", "int")):
            store.namespace("x", key_codec="int")
        with pytest.raises(shardkv.InvalidError, match=said.format("json", "auto")):
            store.namespace("x", codec="json")
        assert store.namespace("x", codec="json", key_codec="int").codec == "json"
        store.close()


def test_pickle_is_never_read_unless_it_is_named(store: shardkv.Store) -> None:
    store.namespace("x", codec="pickle")["a"] = {1}
    with pytest.raises(shardkv.InvalidError, match="'pickle'"):
        store.namespace("x")


@pytest.mark.parametrize(
    "name", ["", "x" * 201, "a\0", "\n", "\x7f", "\x85", "\ud800", "\U0001f600" * 150]
)
def test_a_bad_name_is_refused(store: shardkv.Store, name: str) -> None:
    for call in (store.namespace, store.drop_namespace):
        with pytest.raises(shardkv.InvalidError, match="name"):
            call(name)
    assert store.namespaces() == []
    assert stored(store) == {}


@pytest.mark.parametrize("name", [b"x", 1, None, ("x",)])
def test_a_name_that_is_no_text_is_refused(store: shardkv.Store, name: Any) -> None:
    for call in (store.namespace, store.drop_namespace):
        with pytest.raises(TypeError, match="must be str"):
            call(name)


@pytest.mark.parametrize("name", ["x", "x" * 200, "\U0001f600" * 100, " ", "ÿ"])
def test_names_at_the_edges_work(store: shardkv.Store, name: str) -> None:
    store.namespace(name)[1] = 1
    assert store.namespaces() == [name]
    assert store.drop_namespace(name)


def test_a_bad_codec_makes_no_namespace(store: shardkv.Store) -> None:
    with pytest.raises(shardkv.InvalidError, match="codec is 'yaml'"):
        store.namespace("x", codec="yaml")
    with pytest.raises(shardkv.InvalidError, match="key_codec is 'float'"):
        store.namespace("x", key_codec="float")
    with pytest.raises(TypeError):
        store.namespace("x", codec=None)  # type: ignore[arg-type]
    assert stored(store) == {}


def test_many_threads_that_make_one_namespace_make_one(store: shardkv.Store) -> None:
    meet, made = threading.Barrier(8), []

    def make(n: int) -> None:
        meet.wait()
        ns = store.namespace("x")
        made.append(ns._coder.number)
        ns[n] = n

    threads = [threading.Thread(target=make, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [16] * 8
    assert dict(store.namespace("x")) == {n: n for n in range(8)}
    assert store.namespace("y")._coder.number == 17


def test_a_thread_that_makes_a_namespace_is_alone_with_the_catalogue(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would find no such name, and each make its own: the later entry would hide what the first wrote."""
    meet, inner = threading.Barrier(2), store._inner()
    get = inner.get

    def get_together(key: bytes) -> Any:
        with suppress(threading.BrokenBarrierError):
            meet.wait(0.2)  # met in vain when only one can be here
        return get(key)

    monkeypatch.setattr(inner, "get", get_together)
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(store.namespace("x")._coder.number))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [16, 16]
    assert sum(key.startswith(CATALOGUE + b"x") for key in stored(store)) == 1
    assert store.namespace("y")._coder.number == 17


def test_ids_are_never_used_again(tmp_path: Path) -> None:
    """Older records of a dropped namespace are still in the log, where a reader of changes meets them."""
    seen = []
    for _ in range(3):
        with shardkv.open(tmp_path / "store") as store:
            for name in ("x", "y"):
                seen.append(store.namespace(name)._coder.number)
                assert store.drop_namespace(name)
    assert seen == list(range(16, 22))


def test_a_dropped_namespace_is_gone_with_its_keys(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        kept, gone = store.namespace("kept"), store.namespace("gone")
        kept["a"] = 1
        gone.put_many({n: n for n in range(10_000)}, ack="memory")
        with shardkv.open(store.path) as other:
            too = other.namespace("gone")
            assert store.drop_namespace("gone") is True
            assert store.drop_namespace("gone") is False
            for ns in (gone, too):
                for call in (
                    lambda ns: ns.put("a", 1),
                    lambda ns: ns.get("a"),
                    lambda ns: ns.scan(),
                    lambda ns: ns.clear(),
                ):
                    with pytest.raises(shardkv.ClosedError, match="'gone' was dropped"):
                        call(ns)
        assert store.namespaces() == ["kept"]
        again = store.namespace("gone", codec="json")
        assert dict(again) == {}
        again["new"] = [1]
    with shardkv.open(tmp_path / "store") as store:
        assert dict(store.namespace("gone", codec="json")) == {"new": [1]}
        assert dict(store.namespace("kept")) == {"a": 1}


def test_what_was_written_while_it_was_dropped_goes_with_the_next_opening(tmp_path: Path) -> None:
    """A thread may have encoded its key just before; the record must not stay for ever."""
    with shardkv.open(tmp_path / "store") as store:
        ns = store.namespace("x")
        late = ns._coder.key("late")
        store.drop_namespace("x")
        store._inner().put(late, b"\xc0")
    with shardkv.open(tmp_path / "store") as store:
        assert late in stored(store)
        store.namespace("y")
        assert late not in stored(store)
        assert [key for key in stored(store) if key.startswith(DROPPED)] == []


def test_an_interrupted_drop_goes_on_with_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store.namespace("x").put_many({n: n for n in range(100)})
        inner = store._inner()
        with monkeypatch.context() as patch:
            patch.setattr(inner, "delete_many", lambda keys: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.drop_namespace("x")
        assert store.namespaces() == []
    with shardkv.open(tmp_path / "store") as store:
        assert len(stored(store)) == 102
        assert dict(store.namespace("x")) == {}
        assert len(stored(store)) == 2


def test_a_readonly_store_shows_namespaces_and_makes_none(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store.namespace("x")["a"] = 1
        store.namespace("gone")
        store.drop_namespace("gone")
    with shardkv.open(tmp_path / "store", readonly=True) as store:
        assert store.namespaces() == ["x"]
        assert dict(store.namespace("x")) == {"a": 1}
        with pytest.raises(shardkv.ReadOnlyError, match="no namespace"):
            store.namespace("y")
        with pytest.raises(shardkv.ReadOnlyError):
            store.namespace("x").put("b", 1)
        with pytest.raises(shardkv.ReadOnlyError):
            store.drop_namespace("x")
        assert dict(store.namespace("x")) == {"a": 1}


def test_a_store_that_was_not_closed_is_missed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its twin, which serves its namespaces, was missed as well."""
    gc.collect()  # what other tests left
    store = shardkv.open(tmp_path / "store")
    store.namespace("x")
    shared, missed = store._shared, []
    # Not caught as warnings: those would keep the store, and so its twin, alive.
    monkeypatch.setattr(warnings, "warn", lambda text, *_, **__: missed.append(text))
    del store
    gc.collect()
    assert len(missed) == 1
    registry.release(shared, flush=False)


def test_a_forked_child_is_told_so_and_does_not_wait_for_a_lock_of_its_parent(
    store: shardkv.Store,
) -> None:
    ns = store.namespace("x")
    with store._shared.catalogue._lock:  # as another thread may have it at that moment
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # who waits for ever is ended, and told nothing
            told = 0
            for call in (lambda: store.namespace("y"), lambda: ns.get("a"), lambda: ns.put("a", 1)):
                try:
                    call()
                except shardkv.ForkedError:
                    told += 1
            os._exit(told)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_an_entry_of_a_later_version_is_not_misread(store: shardkv.Store) -> None:
    store._inner().put(CATALOGUE + b"x", b"\x81\xa2id\x10")
    store._inner().put(CATALOGUE + b"y", b"\x83\xa2id\x11\xa5codec\xa4zstd\xa9key_codec\xa4auto")
    for name in "xy":
        with pytest.raises(shardkv.FormatError, match=f"entry of namespace '{name}'"):
            store.namespace(name)


def test_the_bytes_are_those_of_the_document(store: shardkv.Store) -> None:
    ns = store.namespace("x", key_codec="tuple")
    ns[("a", -1)] = (1, "b")
    store.namespace("y")
    store.drop_namespace("y")
    head = b"\xff\xff\xff\xff"
    assert stored(store) == {
        head + b"\0\0\0\0": b"\x12",
        head + b"\0\0\0\1\0\0\x11": b"",
        head + b"\0\0\0x": b"\x83\xa2id\x10\xa5codec\xa7msgpack\xa9key_codec\xa5tuple",
        head + b"\0\0\x10\x02a\0\x13\xfe": b"\x93\xc7\0\1\1\xa1b",
    }
    assert (head + b"\0\0\0\0", head + b"\0\0\0\1") == (NEXT_ID, DROPPED)
    section = DOCUMENT.read_text().split("## 12. Reserved keys")[1]
    keys = re.findall(r"^\| (00 00 0\d, then [^|]*|an id[^|]*) \|", section, re.MULTILINE)
    assert [key.split(", then ")[1][:2] for key in keys] == ["00", "01", "a ", "a ", "an"]


@pytest.mark.parametrize(
    "error", [shardkv.AckError("a peer is away"), KeyboardInterrupt()], ids=repr
)
def test_a_drop_that_is_told_late_is_one(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """It had been written, but the namespace could still be used: what was put then was deleted by the next opening."""
    apply = Engine.apply

    def applied(*args: Any, **named: Any) -> int:
        apply(*args, **named)
        raise error

    users = store.namespace("users")
    users["ada"] = 1
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "apply", applied)
        with pytest.raises(type(error)):
            store.drop_namespace("users")
    with pytest.raises(shardkv.ClosedError, match="dropped"):
        users["bob"] = 2
    store.namespace("users")["eve"] = 3
    store.close()
    with shardkv.open(store.path) as again:
        assert dict(again.namespace("users")) == {"eve": 3}


def test_a_drop_that_failed_is_none(store: shardkv.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise shardkv.OverloadedError("no room")

    users = store.namespace("users")
    users["ada"] = 1
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "apply", fail)
        with pytest.raises(shardkv.OverloadedError):
            store.drop_namespace("users")
    users["bob"] = 2
    assert dict(store.namespace("users")) == {"ada": 1, "bob": 2}


def test_a_finalizer_that_comes_back_to_the_catalogue_is_refused_and_one_that_uses_it_is_not(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for a lock that its own thread had."""
    apply = Engine.apply

    def applied(*args: Any, **named: Any) -> int:
        assert store.namespace("known")["a"] == 1
        with pytest.raises(shardkv.LockOwnerError, match="already"):
            store.namespace("unknown")
        return apply(*args, **named)

    store.namespace("known")["a"] = 1
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "apply", applied)
        store.namespace("new")
    store.namespace("unknown")
    assert store.namespaces() == ["known", "new", "unknown"]
