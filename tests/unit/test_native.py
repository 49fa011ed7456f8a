"""The boundary to C: codes, workspaces, what crosses, and finding the lmdb package's LMDB."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from house.tree import ROOT

import shardkv
from shardkv import _native, errors
from shardkv._core import lib
from shardkv._native import reading
from shardkv._native.codes import AGAIN

CONTRACT = (ROOT / "csrc" / "include" / "shardkv.h").read_text()
DEFINED = {
    name: int(number) for name, number in re.findall(r"#define SKV_(\w+) (-?\d+)\b", CONTRACT)
}
CODES = {name: number for name, number in DEFINED.items() if number < 0}
ANSWERS = {"NOT_FOUND", "AGAIN", "BUSY"}
# The root, and what C has no part in.
WITHOUT_CODE = {errors.Error, errors.LockOwnerError, errors.LeaseLostError}


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """Make the named modules impossible to find."""
    find = importlib.util.find_spec

    def find_others(name: str, *rest: Any) -> ModuleSpec | None:
        return None if name in missing else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)


# -- codes


def test_each_code_stands_for_one_exception_and_each_exception_for_one_code() -> None:
    assert len(CODES) == 23
    assert set(_native.CODES) == {CODES[name] for name in set(CODES) - ANSWERS}
    assert len(set(_native.CODES.values())) == len(_native.CODES)
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert set(_native.CODES.values()) == kinds - WITHOUT_CODE


@pytest.mark.parametrize("name", sorted(set(CODES) - ANSWERS))
def test_a_code_and_its_exception_have_one_name(name: str) -> None:
    told = name.replace("_", "").lower()
    kind = _native.CODES[CODES[name]].__name__.removesuffix("Error").lower()
    shortened = {"io": "disk", "nomemory": "outofmemory", "corrupt": "corruption"}
    assert shortened.get(told, told) == kind


def test_the_limits_of_the_contract_are_those_of_the_package() -> None:
    assert _native.KEY_BYTES_MAX == DEFINED["KEY_BYTES_MAX"] == 500
    assert _native.VALUE_BYTES_MAX == DEFINED["VALUE_BYTES_MAX"] == 32 << 20
    assert _native.BATCH_BYTES_MAX == DEFINED["BATCH_BYTES_MAX"] == 32 << 20


# -- crossing


@pytest.mark.parametrize("given", [b"ab", bytearray(b"ab"), memoryview(b"ab")], ids=type)
def test_bytes_like_objects_cross_as_bytes(given: object) -> None:
    assert _native.as_bytes(given, "key") == b"ab"
    assert type(_native.as_bytes(given, "key")) is bytes


def test_a_strided_view_crosses_as_what_it_shows() -> None:
    assert _native.as_bytes(memoryview(b"abcd")[::2], "value") == b"ac"


def test_what_is_no_bytes_is_named() -> None:
    with pytest.raises(TypeError, match=r"the value must be bytes-like, not int"):
        _native.as_bytes(1, "value")
    with pytest.raises(TypeError, match=r"the key is str.*namespace"):
        _native.as_bytes("a", "key")


def test_a_workspace_follows_its_buffer_as_it_grows(store: shardkv.Store) -> None:
    for size in (0, 1, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1, 5 << 20, 3):
        value = bytes([size % 251]) * size
        store.put(b"key", value, ack="memory")
        assert store[b"key"] == value
        assert store.get_many([b"key"]) == {b"key": value}
        assert list(store.scan()) == [(b"key", value)]
        assert store.pop(b"key") == value


# -- the lmdb package


def test_the_lmdb_of_the_package_is_found_and_its_version_read() -> None:
    lmdb = _native.load_lmdb(_native.find_lmdb_module())
    assert 934 <= _native.lmdb_version(lmdb) < 1000


def test_without_a_compiled_lmdb_the_error_names_what_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(monkeypatch, "lmdb", "lmdb_cffi")
    with pytest.raises(shardkv.FormatError, match=r"lmdb\.cpython and lmdb_cffi.*lmdb>=3\.0"):
        shardkv.open(tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_cffi_build_of_lmdb_is_taken_when_it_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = _native.find_lmdb_module()
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: ModuleSpec(name, None, origin=real) if name == "lmdb_cffi" else None,
    )
    assert _native.find_lmdb_module() == real


def test_finding_lmdb_imports_nothing() -> None:
    script = (
        "import sys, shardkv._native as n; n.find_lmdb_module(); sys.exit('lmdb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_module_without_lmdb_inside_is_named_with_what_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = importlib.util.find_spec("shardkv._core")
    assert wrong is not None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: wrong)
    with pytest.raises(shardkv.FormatError, match=r"mdb09_version and mdb_version") as caught:
        shardkv.open(tmp_path / "store")
    assert caught.value.file.endswith("_core.abi3.so")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("what", ["a text file", "nothing"])
def test_a_file_that_is_no_module_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "lmdb.so"
    if what == "a text file":
        path.write_text("not ELF")
    with pytest.raises(shardkv.FormatError, match="cannot load the lmdb package's module"):
        _native.load_lmdb(str(path))


# -- workspaces


def test_a_snapshot_is_waited_for_by_its_own_seqno_whoever_takes_the_workspace_next(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read from a workspace that had been given back: on a slow disk another's number."""
    engine, waited = store._engine, list[int]()

    class SlowDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(lib, name)

        def skv_snapshot_open(self, handle: Any, out: Any, io: Any) -> int:
            assert lib.skv_snapshot_open(handle, out, io) == 0
            io.seqno = 77
            return AGAIN

    def give_to_another(ws: Any) -> None:
        ws.c.seqno = 1

    monkeypatch.setattr(reading, "lib", SlowDisk())
    monkeypatch.setattr(engine, "give", give_to_another)
    monkeypatch.setattr(engine, "wait", waited.append)
    engine.open_snapshot()
    assert waited == [77]
