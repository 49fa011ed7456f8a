"""What the log no longer has, and what it never should have had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shardkv

from . import stores
from .test_spread import spoil_keys

SMALL = {name: value for name, value in stores.SMALL.items() if name != "retain_log_bytes"}


def make_idle(path: Path) -> tuple[dict[bytes, bytes], list[bytes]]:
    """A store whose shard 1 was not written to since the log began; returns its rows and keys of shard 0."""
    with shardkv.open(path, **SMALL) as store:
        for n in range(100):
            store[b"key %05d" % n] = b"early"
        store.flush()
        busy = [key for key in store if store.shard_of(key) == 0]
        for turn in range(40):
            for key in busy:
                store.put(key, b"late %d " % turn + bytes(200), ack="memory")
        store.flush()
        for key in busy[5:]:
            store.put(key, b"live" * 5, ack="memory")
        rows = dict(store.scan())
        store.close(flush=False)
    return rows, busy


@pytest.mark.parametrize("marks", [2, 1, 0])
def test_a_shard_that_was_not_written_to_for_long_lacks_nothing(place: Path, marks: int) -> None:
    """What lies between its newest record and the beginning of the log was of other shards, the side file says."""
    rows, busy = make_idle(place / "a")
    shutil.copytree(place / "a", place / "b")
    for number, name in enumerate("ab"):
        spoil_keys(place / name, [busy[number]])
        if number >= marks:
            (place / name / "log/MARK").unlink()
    _, losses = stores.mend([place / "a", place / "b"], place / "mended")
    assert losses == []
    with shardkv.open(place / "mended") as store:
        assert dict(store.scan()) == rows


def test_an_old_backup_gives_back_records_that_are_as_old(place: Path) -> None:
    """Neither what was deleted since then comes back nor what was overwritten, though no log tells of it any more."""
    with shardkv.open(place / "a", **SMALL) as store:
        for n in range(200):
            store.put(b"key %05d" % n, b"early %d" % n, ack="memory")
        store.flush()
    shutil.copytree(place / "a", place / "old")
    with shardkv.open(place / "a", **SMALL) as store:
        for n in range(0, 200, 3):
            store.delete(b"key %05d" % n)
        for turn in range(30):
            for n in range(1, 200, 3):
                store.put(b"key %05d" % n, b"late %d" % turn + bytes(100), ack="memory")
        rows = dict(store.scan())
    spoil_keys(place / "a", [b"key 00002", b"key 00101", b"key 00044"])
    for sources in (["a", "old"], ["old", "a"]):
        _, losses = stores.mend([place / name for name in sources], place / "mended")
        assert losses == []
        with shardkv.open(place / "mended") as store:
            assert dict(store.scan()) == rows
