"""Which directories open, which are refused, and that a refusal changes nothing."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xxhash

import shardkv
from shardkv.scrubbing import scrub_shards

Files = dict[str, bytes]


def files_of(path: Path) -> Files:
    """Return what lies in a directory; the lock is no content."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "lock.mdb"
    }


def make(path: Path, **options: Any) -> Path:
    with shardkv.open(path, **options) as store:
        store.put(b"kept", b"1")
    return path


def set_version(manifest: Path, version: int) -> None:
    """Write another format version and the checksum that goes with it (FORMAT.md 3)."""
    raw = bytearray(manifest.read_bytes())
    raw[16:20] = struct.pack("<I", version)
    raw[8:16] = struct.pack("<Q", xxhash.xxh64_intdigest(bytes(raw[16:])))
    manifest.write_bytes(raw)


# -- paths


@pytest.mark.parametrize("path", ["a\0b", b"a\0b", "\0", Path("a\0b")], ids=repr)
def test_a_path_with_a_nul_is_refused(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C once saw the path end at the NUL, and a store was made at another place."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(shardkv.InvalidError, match="NUL"):
        shardkv.open(path)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_needs_a_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was removed under the process: each call raised a bare FileNotFoundError."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    calls: tuple[Callable[[str], object], ...] = (shardkv.open, shardkv.check, scrub_shards)
    for call in calls:
        with pytest.raises(shardkv.InvalidError, match="working directory"):
            call("store")


@pytest.mark.parametrize("path", [None, 1, 1.5, ["store"], bytearray(b"store")], ids=repr)
def test_a_path_of_the_wrong_type_is_refused(path: Any) -> None:
    with pytest.raises(TypeError):
        shardkv.open(path)


@pytest.mark.parametrize("kind", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
def test_a_path_is_str_bytes_or_pathlike(kind: Any, tmp_path: Path) -> None:
    for name in ("plain", "späce and ümlaut", os.fsdecode(b"not utf-8 \xff")):
        with shardkv.open(kind(str(tmp_path / name))) as store:
            store.put(b"a", b"b")
            assert store.path == str(tmp_path / name)
        assert (tmp_path / name / "MANIFEST").exists()


def test_a_relative_path_is_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with shardkv.open("store") as store:
        monkeypatch.chdir("/")
        assert store.path == str(tmp_path / "store")


def test_what_the_system_refuses_is_a_disk_error_with_its_errno(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    cases = {
        "none/store": errno.ENOENT,
        "file": errno.ENOTDIR,
        "file/store": errno.ENOTDIR,
        "n" * 300: errno.ENAMETOOLONG,
    }
    for name, number in cases.items():
        with pytest.raises(shardkv.DiskError) as caught:
            shardkv.open(tmp_path / name)
        assert caught.value.errno == number, name
    assert (tmp_path / "file").read_text() == "no directory"


# -- create and readonly


@pytest.mark.parametrize("options", [{"create": False}, {"readonly": True}], ids=str)
def test_nothing_is_made_where_nothing_is_to_be_made(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        with pytest.raises(shardkv.InvalidError, match="holds no store"):
            shardkv.open(tmp_path / name, **options)
    assert not (tmp_path / "none").exists()
    assert files_of(tmp_path / "empty") == {}
    make(tmp_path / "empty")


WRITES = {
    "put": lambda store: store.put(b"kept", b"2"),
    "put to memory": lambda store: store.put(b"kept", b"2", ack="memory"),
    "submit": lambda store: store.submit(b"kept", b"2"),
    "put_many": lambda store: store.put_many({b"kept": b"2"}),
    "delete": lambda store: store.delete(b"kept"),
    "delete of nothing": lambda store: store.delete(b"none"),
    "delete_many": lambda store: store.delete_many([b"kept"]),
    "pop": lambda store: store.pop(b"kept"),
    "pop of nothing": lambda store: store.pop(b"none", None),
    "popitem": lambda store: store.popitem(),
    "clear": lambda store: store.clear(),
    "setdefault": lambda store: store.setdefault(b"none", b""),
    "update": lambda store: store.update({b"kept": b"2"}),
    "set": lambda store: store.__setitem__(b"kept", b"2"),
    "del": lambda store: store.__delitem__(b"kept"),
}


@pytest.fixture(params=[True, False], ids=["flushed", "replayed"])
def readonly(tmp_path: Path, request: pytest.FixtureRequest) -> shardkv.Store:
    store = shardkv.open(tmp_path / "store")
    store.put(b"kept", b"1")
    store.close(flush=request.param)
    return shardkv.open(tmp_path / "store", readonly=True)


def test_a_readonly_store_refuses_every_write_and_answers_every_read(
    readonly: shardkv.Store,
) -> None:
    with readonly as store:
        for name, write in WRITES.items():
            with pytest.raises(shardkv.ReadOnlyError, match="read-only"):
                pytest.fail(f"{name} gave {write(store)!r}")
        with pytest.raises(shardkv.ReadOnlyError), store.batch() as batch:
            batch.delete(b"kept")
        store.sync()
        store.flush()
        assert dict(store.scan()) == {b"kept": b"1"}
        with store.snapshot() as cut:
            assert cut[b"kept"] == b"1"
        assert (len(store), b"kept" in store, store.stats().seqno) == (1, True, 1)
    with shardkv.open(readonly.path) as store:
        assert dict(store.items()) == {b"kept": b"1"}


# -- what is stored


def test_what_is_stored_is_adopted(tmp_path: Path) -> None:
    make(tmp_path / "store", shards=3, weights=[1, 2, 3])
    with shardkv.open(tmp_path / "store") as store:
        assert len(store.stats().shards) == 3
        owner = store.shard_of(b"kept")
    for options in ({"shards": 3}, {"shards": 3, "weights": (1, 2, 3)}):
        with shardkv.open(tmp_path / "store", **options) as store:
            assert store.shard_of(b"kept") == owner
            assert store[b"kept"] == b"1"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"shards": 2}, "shards=2, but the store has 3"),
        ({"shards": 3, "weights": [1, 2, 4]}, r"weights\[2\] is 4, but the store has 3"),
        ({"shards": 2, "weights": [1, 2]}, "shards=2, but the store has 3"),
    ],
    ids=str,
)
def test_options_that_contradict_what_is_stored_change_nothing(
    tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    path = make(tmp_path / "store", shards=3, weights=[1, 2, 3])
    before = files_of(path)
    with pytest.raises(shardkv.InvalidError, match=what):
        shardkv.open(path, **options)
    assert files_of(path) == before


# -- what is no store of this release


@pytest.mark.parametrize("options", [{}, {"create": False}, {"readonly": True}], ids=str)
@pytest.mark.parametrize("entry", ["notes.txt", "data.mdb", "log/00000001.log", ".hidden"])
def test_a_foreign_directory_is_refused_and_not_touched(
    tmp_path: Path, entry: str, options: dict[str, Any]
) -> None:
    foreign = tmp_path / "foreign" / entry
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody's")
    with pytest.raises((shardkv.FormatError, shardkv.InvalidError)) as caught:
        shardkv.open(tmp_path / "foreign", **options)
    assert isinstance(caught.value, shardkv.InvalidError if options else shardkv.FormatError)
    assert str(tmp_path / "foreign") in str(caught.value)
    assert files_of(tmp_path / "foreign") == {entry: b"somebody's"}


@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
@pytest.mark.parametrize("copies", [("MANIFEST", "MANIFEST.bak"), ("MANIFEST",)], ids=str)
def test_an_unknown_format_version_is_refused_and_not_touched(
    tmp_path: Path, version: int, copies: tuple[str, ...]
) -> None:
    path = make(tmp_path / "store")
    for name in copies:
        set_version(path / name, version)
    before = files_of(path)
    for _ in range(2):
        with pytest.raises(shardkv.FormatError, match=f"version {version}.*knows version 1"):
            shardkv.open(path)
    assert files_of(path) == before
    for name in copies:
        set_version(path / name, 1)
    with shardkv.open(path) as store:
        assert store[b"kept"] == b"1"


def test_a_new_store_is_private(tmp_path: Path) -> None:
    path = make(tmp_path / "store")
    for entry in [path, *path.rglob("*")]:
        if entry.name != "lock.mdb":
            assert entry.stat().st_mode & 0o777 == (0o700 if entry.is_dir() else 0o600), entry


@pytest.mark.parametrize("path", ["", b"", "half \ud800"], ids=ascii)
def test_a_path_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """An empty one made a store of the directory where the program happened to be."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(shardkv.InvalidError, match="path"):
        shardkv.open(path)
    assert not list(tmp_path.iterdir())
