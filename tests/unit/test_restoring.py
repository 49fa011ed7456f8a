"""Restoring: all of a backup, or what it held up to a seqno; and the backup stays as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import shardkv

Files = dict[str, tuple[bytes, int]]


def files(folder: Path) -> Files:
    """Every file's content and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup with records 1 to 100 in shards, and 101 to 205 in the log: 100 puts, and a batch of 5."""
    with shardkv.open(tmp_path / "store", shards=2) as store:
        for n in range(100):
            store.put(b"%d" % n, b"flushed", ack="memory")
        store.flush()
        for n in range(100):
            store.put(b"%d" % n, b"later")
        with store.batch() as batch:
            for n in range(5):
                batch.put(b"batch %d" % n, b"")
        assert store.backup(tmp_path / "backup").seqno == 205
    return tmp_path / "backup"


def rows(path: Path) -> dict[bytes, bytes]:
    with shardkv.open(path) as store:
        return dict(store)


def test_a_restored_store_is_the_backup_and_the_backup_stays_as_it_is(
    backup: Path, tmp_path: Path
) -> None:
    before = files(backup)
    info = shardkv.restore(backup, tmp_path / "restored")
    assert info.seqno == 205
    assert files(backup) == before
    restored = rows(tmp_path / "restored")
    assert restored == {b"%d" % n: b"later" for n in range(100)} | {
        b"batch %d" % n: b"" for n in range(5)
    }
    assert restored == rows(backup)


def test_until_leaves_out_what_came_later(backup: Path, tmp_path: Path) -> None:
    for until in (100, 101, 150, 200):
        info = shardkv.restore(backup, tmp_path / f"{until}", until=until)
        assert info.seqno == until
        expected = {b"%d" % n: b"later" if n < until - 100 else b"flushed" for n in range(100)}
        assert rows(tmp_path / f"{until}") == expected
        with shardkv.open(tmp_path / f"{until}") as store:
            assert store.put(b"next", b"") == until + 1


def test_until_never_cuts_a_batch(backup: Path, tmp_path: Path) -> None:
    """Where one batch ends and the next begins is not recorded inside a frame: the whole frame is left out."""
    for until in (201, 204):
        assert shardkv.restore(backup, tmp_path / f"{until}", until=until).seqno == 200
        assert not any(key.startswith(b"batch") for key in rows(tmp_path / f"{until}"))


@pytest.mark.parametrize("until", [0, 1, 99, 206, 10**9])
def test_until_out_of_range_says_the_range(backup: Path, tmp_path: Path, until: int) -> None:
    with pytest.raises(shardkv.InvalidError, match=r"after seqno 100 to 205"):
        shardkv.restore(backup, tmp_path / "restored", until=until)
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("until", ["5", 5.0, True])
def test_until_is_an_int(backup: Path, tmp_path: Path, until: Any) -> None:
    with pytest.raises(TypeError, match="until must be an int"):
        shardkv.restore(backup, tmp_path / "restored", until=until)
    with pytest.raises(shardkv.InvalidError):
        shardkv.restore(backup, tmp_path / "restored", until=-1)


def test_a_store_that_is_open_is_not_restored_from(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        store[b"a"] = b"1"
        with pytest.raises(shardkv.LockedError) as caught:
            shardkv.restore(tmp_path / "store", tmp_path / "restored")
        assert caught.value.pid == os.getpid()
    assert not (tmp_path / "restored").exists()
    shardkv.restore(tmp_path / "store", tmp_path / "restored")
    assert rows(tmp_path / "restored") == {b"a": b"1"}


def test_what_is_no_store_and_what_is_one_are_refused(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("empty", "none"):
        with pytest.raises(shardkv.InvalidError, match="holds no store"):
            shardkv.restore(tmp_path / source, tmp_path / "restored")
    with pytest.raises(shardkv.InvalidError, match="holds a store already"):
        shardkv.restore(backup, tmp_path / "store")
    for dest in (backup, backup / "inside"):
        with pytest.raises(shardkv.InvalidError):
            shardkv.restore(backup, dest)
    (tmp_path / "empty" / "COPYING").touch()
    with pytest.raises(shardkv.FormatError, match="not finished"):
        shardkv.restore(tmp_path / "empty", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_damaged_backup_is_not_restored(backup: Path, tmp_path: Path) -> None:
    log = next((backup / "log").glob("*.log"))
    image = bytearray(log.read_bytes())
    image[image.index(b"later")] ^= 1
    log.write_bytes(image)
    with pytest.raises(shardkv.CorruptionError, match="was durable and is damaged") as caught:
        shardkv.restore(backup, tmp_path / "restored")
    assert caught.value.file == f"log/{log.name}"
    assert caught.value.seqno == 101
    assert not (tmp_path / "restored").exists()


def test_a_backup_on_a_medium_that_cannot_be_written_is_restored(
    backup: Path, tmp_path: Path
) -> None:
    for path in backup.rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        shardkv.restore(backup, tmp_path / "restored")
    finally:
        for path in backup.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
    assert len(rows(tmp_path / "restored")) == 105
