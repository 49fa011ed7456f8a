"""Backups of stores that were repaired."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shardkv

OPTIONS = {"shards": 2, "retain_log_bytes": 1 << 30}


def repaired(path: Path) -> None:
    for name in ("MANIFEST", "MANIFEST.bak"):
        (path / name).unlink()
    assert shardkv.check(path, repair=True).ok


def test_a_backup_is_not_taken_for_that_of_another_history_that_was_repaired_at_the_same_seqno(
    tmp_path: Path,
) -> None:
    """A repair begins the log anew; all such logs began alike, whatever had been before."""
    with shardkv.open(tmp_path / "store", **OPTIONS) as store:
        store.put_many({b"%d" % n: b"both" for n in range(20)})
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    for path, value in [(tmp_path / "store", b"before"), (tmp_path / "older", b"after")]:
        with shardkv.open(path) as store:
            store.put_many({b"%d" % n: value for n in range(20)})
        repaired(path)
        with shardkv.open(path, retain_log_bytes=1 << 30) as store:
            store.put(b"last", b"the same")
            if value == b"before":
                kept = dict(store)
                store.backup(tmp_path / "backup")
                continue
            with pytest.raises(shardkv.InvalidError, match="put back to an older state"):
                store.backup(tmp_path / "backup")
    with shardkv.open(tmp_path / "backup", readonly=True) as copy:
        assert dict(copy) == kept
