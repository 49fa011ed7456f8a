"""Backups: what they hold, where they may go, and that an unfinished one is no store."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import shardkv


def fill(store: shardkv.Store) -> None:
    """Records in shards, records in the log alone, and some of each deleted or replaced."""
    for n in range(300):
        store.put(b"%d" % n, b"old %d" % n, ack="memory")
    store.flush()
    for n in range(200, 400):
        store.put(b"%d" % n, b"new %d" % n, ack="memory", ttl=1000)
    with store.batch() as batch:
        for n in range(50):
            batch.delete(b"%d" % n)


def entries(store: shardkv.Store) -> dict[bytes, shardkv.Entry | None]:
    return {key: store.get_entry(key) for key in store}


def test_a_backup_is_a_store_with_the_same_records_versions_and_expiries(
    store: shardkv.Store, tmp_path: Path
) -> None:
    fill(store)
    info = store.backup(tmp_path / "copy")
    assert info.seqno == store.stats().seqno
    assert info.bytes > 0
    assert info.seconds > 0
    with shardkv.open(tmp_path / "copy") as copy:
        assert entries(copy) == entries(store)
        assert len(copy) == len(store) == 350
        assert copy.put(b"next", b"") == info.seqno + 1


def test_original_and_copy_go_their_own_ways(store: shardkv.Store, tmp_path: Path) -> None:
    fill(store)
    store.backup(tmp_path / "copy")
    with shardkv.open(tmp_path / "copy") as copy:
        copy[b"a"] = b"copy's"
        store[b"a"] = b"store's"
        copy.flush()
        store.flush()
        assert (copy[b"a"], store[b"a"]) == (b"copy's", b"store's")


def test_what_was_appended_without_waiting_is_in_the_backup(
    store: shardkv.Store, tmp_path: Path
) -> None:
    for n in range(1000):
        store.submit(b"%d" % n, b"")
    assert store.backup(tmp_path / "copy").seqno == 1000
    with shardkv.open(tmp_path / "copy") as copy:
        assert len(copy) == 1000


@pytest.mark.parametrize("flushed", [False, True])
def test_an_empty_store_can_be_backed_up(
    store: shardkv.Store, tmp_path: Path, flushed: bool
) -> None:
    if flushed:
        store.add(b"none", b"")
        store.flush()
        del store[b"none"]
        store.flush()
    store.backup(tmp_path / "copy")
    with shardkv.open(tmp_path / "copy") as copy:
        assert dict(copy) == {}
        assert copy.stats().seqno == store.stats().seqno


def test_weights_and_shards_are_those_of_the_original(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=3, weights=[1, 5, 2]) as store:
        for n in range(100):
            store[b"%d" % n] = b""
        store.backup(tmp_path / "copy")
        with shardkv.open(tmp_path / "copy", shards=3, weights=[1, 5, 2]) as copy:
            assert [copy.shard_of(key) for key in store] == [store.shard_of(key) for key in store]


def test_settings_are_those_of_the_original(store: shardkv.Store, tmp_path: Path) -> None:
    store.configure(max_writes_per_s=1234)
    store.backup(tmp_path / "copy")
    with shardkv.open(tmp_path / "copy") as copy:
        assert copy.configure().max_writes_per_s == 1234


def test_reserved_keys_of_namespaces_are_in_the_backup(
    store: shardkv.Store, tmp_path: Path
) -> None:
    store.namespace("people")["ada"] = {"born": 1815}
    store.flush()
    store.namespace("people")["grace"] = {"born": 1906}
    store.backup(tmp_path / "copy")
    with shardkv.open(tmp_path / "copy") as copy:
        assert dict(copy.namespace("people")) == {"ada": {"born": 1815}, "grace": {"born": 1906}}


def test_a_large_value_and_large_frames_are_copied(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2, segment_bytes=(65536, 65536)) as store:
        store[b"large"] = os.urandom(3 << 20)
        with store.batch() as batch:
            for n in range(2000):
                batch.put(b"%d" % n, bytes(100))
        for n in range(3000):
            store.put(b"%d" % n, os.urandom(50), ack="memory")
        store.backup(tmp_path / "copy")
        with shardkv.open(tmp_path / "copy", segment_bytes=(65536, 65536)) as copy:
            assert dict(copy) == dict(store)


def test_directories_and_files_are_for_the_owner_alone(
    store: shardkv.Store, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        store.backup(tmp_path / "copy")
    finally:
        os.umask(before)
    for folder, _, names in os.walk(tmp_path / "copy"):
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE((Path(folder) / name).stat().st_mode) == 0o600, name


# -- where it may go


def test_a_directory_that_is_not_empty_is_refused_and_not_touched(
    store: shardkv.Store, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letters.txt").write_text("dear")
    with pytest.raises(shardkv.FormatError, match=r"neither a store nor empty"):
        store.backup(tmp_path / "full")
    assert os.listdir(tmp_path / "full") == ["letters.txt"]


def test_a_store_is_never_written_over(store: shardkv.Store, tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "other") as other:
        other[b"a"] = b"other's"
    with pytest.raises(shardkv.InvalidError, match="holds a store already"):
        store.backup(tmp_path / "other")
    with pytest.raises(shardkv.InvalidError, match="inside the store"):
        store.backup(tmp_path / "store")
    with shardkv.open(tmp_path / "other") as other:
        assert dict(other) == {b"a": b"other's"}


def test_a_place_inside_the_store_is_refused(store: shardkv.Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store" / "log")
    for dest in ("store/copy", "store/log/copy", "link/copy"):
        with pytest.raises(shardkv.InvalidError, match="inside the store"):
            store.backup(tmp_path / dest)
    with pytest.raises(shardkv.InvalidError, match="NUL"):
        store.backup("copy\0")


def test_a_missing_parent_is_told(store: shardkv.Store, tmp_path: Path) -> None:
    with pytest.raises(shardkv.DiskError, match="cannot make the directory"):
        store.backup(tmp_path / "none" / "copy")


def test_a_closed_store_cannot_be_backed_up(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        pass
    with pytest.raises(shardkv.ClosedError):
        store.backup(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# -- what is not finished


class StopError(Exception):
    """Raised by a progress callback."""


@pytest.mark.parametrize("pieces", [1, 2, 3, 4])
@pytest.mark.parametrize("made_before", [False, True])
def test_a_backup_that_is_ended_early_is_no_store_and_is_gone_on_with(
    store: shardkv.Store, tmp_path: Path, pieces: int, made_before: bool
) -> None:
    fill(store)
    calls: list[tuple[int, int]] = []
    if made_before:
        (tmp_path / "copy").mkdir()

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == pieces:
            with pytest.raises(shardkv.FormatError, match="not finished"):
                shardkv.open(tmp_path / "copy")
            with pytest.raises(shardkv.LockedError):
                store.backup(tmp_path / "copy")
            raise StopError

    with pytest.raises(StopError):
        store.backup(tmp_path / "copy", progress=progress)
    with pytest.raises(shardkv.FormatError, match="not finished"):
        shardkv.open(tmp_path / "copy")
    assert store.backup(tmp_path / "copy").kept_shards == min(pieces, len(store.stats().shards))
    with shardkv.open(tmp_path / "copy") as copy:
        assert entries(copy) == entries(store)


def test_a_backup_without_a_whole_shard_leaves_nothing(
    store: shardkv.Store, tmp_path: Path
) -> None:
    for n in range(3000):
        store.put(b"%d" % n, bytes(100), ack="memory")
    store.flush()

    def progress(done: int, total: int) -> None:
        assert done > 0
        raise StopError

    with pytest.raises(StopError):
        store.backup(tmp_path / "copy", progress=progress, max_bytes_per_s=100_000)
    assert not (tmp_path / "copy").exists()


def test_progress_grows_up_to_the_whole(store: shardkv.Store, tmp_path: Path) -> None:
    fill(store)
    calls: list[tuple[int, int]] = []
    store.backup(tmp_path / "copy", progress=lambda done, total: calls.append((done, total)))
    assert len(calls) > 3
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert all(0 <= done <= total for done, total in calls)


def test_what_a_killed_backup_left_is_no_store_and_is_made_again(
    store: shardkv.Store, tmp_path: Path
) -> None:
    fill(store)
    copy = tmp_path / "copy"
    for folder in ("log", "shards", "shards/0000"):
        (copy / folder).mkdir(parents=True)
    for name in ("COPYING", "LOCK", "shards/0000/data.mdb", "log/MARK"):
        (copy / name).write_bytes(b"half")
    for create in (True, False):
        with pytest.raises(shardkv.FormatError, match="not finished, and no store"):
            shardkv.open(copy, create=create)
    store.backup(copy)
    with shardkv.open(copy) as opened:
        assert entries(opened) == entries(store)


def test_a_finished_copy_whose_marker_stayed_is_a_store(
    store: shardkv.Store, tmp_path: Path
) -> None:
    fill(store)
    store.backup(tmp_path / "copy")
    (tmp_path / "copy" / "COPYING").touch()
    with shardkv.open(tmp_path / "copy") as copy:
        assert entries(copy) == entries(store)
    assert not (tmp_path / "copy" / "COPYING").exists()


def test_a_damaged_record_ends_the_backup(store: shardkv.Store, tmp_path: Path) -> None:
    for n in range(100):
        store[b"%d" % n] = b"a value that is found again"
    store.close()
    path = tmp_path / "store" / "shards" / "0001" / "data.mdb"
    image = path.read_bytes()
    path.write_bytes(image.replace(b"found again", b"Found again"))  # also where it stood before
    with shardkv.open(tmp_path / "store") as damaged:
        with pytest.raises(shardkv.CorruptionError, match="the original is damaged") as caught:
            damaged.backup(tmp_path / "copy")
        assert caught.value.file == "shards/0001/data.mdb"
        assert caught.value.seqno > 0
    assert not (tmp_path / "copy").exists()
