"""Checks: nothing to say of a healthy store, a clear word for each kind of damage, and the store stays as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv import checking, inspection

SMALL: dict[str, Any] = {
    "shards": 2,
    "segment_bytes": (65536, 65536),
    "retain_log_bytes": 300_000,
    "unflushed_bytes": 1 << 20,
}


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with records in shards, in the live log, and in retained segments."""
    with shardkv.open(tmp_path / "store", **SMALL) as store:
        for n in range(200):
            store.put(b"key %d" % n, b"flushed %d" % n + bytes(2000), ack="memory")
        store.flush()
        store.namespace("people")["ada"] = 1815
        for n in range(50):
            store.put(b"key %d" % n, b"live %d" % n, ttl=1000)
        store.close(flush=False)
    return tmp_path / "store"


def replace(path: Path, old: bytes, new: bytes) -> None:
    image = path.read_bytes()
    assert old in image, f"{path.name} does not hold {old!r}"
    path.write_bytes(image.replace(old, new))  # on pages that are free again, too


def file_with(path: Path, pattern: str, text: bytes) -> Path:
    return next(found for found in sorted(path.glob(pattern)) if text in found.read_bytes())


def test_a_healthy_store_has_no_findings_and_is_not_touched(path: Path) -> None:
    before = files(path)
    calls: list[tuple[int, int]] = []
    report = shardkv.check(path, progress=lambda done, parts: calls.append((done, parts)))
    assert report.ok
    assert report.findings == ()
    assert report.parts == 5
    assert report.seconds > 0
    assert calls == [(n, 5) for n in range(1, 6)]
    assert files(path) == before
    with shardkv.open(path, **SMALL) as store:
        assert len(store) == 200


def test_a_store_without_records_or_of_a_killed_process_is_healthy(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        shutil.copytree(tmp_path / "store", tmp_path / "empty")
        store[b"a"] = b"1"
        shutil.copytree(tmp_path / "store", tmp_path / "killed")
    assert shardkv.check(tmp_path / "empty").findings == ()
    assert shardkv.check(tmp_path / "killed").findings == ()


def test_an_open_store_and_what_is_none_are_refused(path: Path, tmp_path: Path) -> None:
    with shardkv.open(path, **SMALL), pytest.raises(shardkv.LockedError):
        shardkv.check(path)
    for none in (tmp_path / "none", tmp_path):
        with pytest.raises(shardkv.InvalidError, match="holds no store"):
            shardkv.check(none)


def damage_manifest(path: Path) -> None:
    replace(path / "MANIFEST", b"weights", b"weighTs")


def lose_manifest_copy(path: Path) -> None:
    (path / "MANIFEST.bak").unlink()


def damage_mark(path: Path) -> None:
    image = bytearray((path / "log/MARK").read_bytes())
    image[600] ^= 1
    (path / "log/MARK").write_bytes(image)


def damage_live_log(path: Path) -> None:
    replace(file_with(path, "log/*.log", b"live 30"), b"live 30", b"livE 30")


def damage_retained_log(path: Path) -> None:
    replace(file_with(path, "log/*.log", b"flushed 190"), b"flushed 190", b"flusheD 190")


def lose_live_log(path: Path) -> None:
    file_with(path, "log/*.log", b"live 30").unlink()


def damage_record(path: Path) -> None:
    replace(file_with(path, "shards/*/data.mdb", b"flushed 100"), b"flushed 100", b"flusheD 100")


def lose_shard(path: Path) -> None:
    shutil.rmtree(path / "shards/0001")


def leave_foreign_file(path: Path) -> None:
    (path / "log/notes.txt").write_text("dear")


DAMAGES: list[tuple[Callable[[Path], None], str, str]] = [
    (damage_manifest, "MANIFEST", "the manifest is damaged"),
    (lose_manifest_copy, "MANIFEST.bak", "the other stands in"),
    (damage_mark, "log/MARK", "slot 1 of the side file is damaged"),
    (damage_live_log, "log/", "was durable and is damaged"),
    (damage_retained_log, "log/", "was durable and is damaged"),
    (lose_live_log, "log", "missing"),
    (damage_record, "shards/", "is not what was written"),
    (lose_shard, "shards/0001", "the shard is missing"),
    (leave_foreign_file, "notes.txt", "foreign file"),
]


@pytest.mark.parametrize(("damage", "file", "text"), DAMAGES)
def test_damage_is_found_and_named(
    path: Path, damage: Callable[[Path], None], file: str, text: str
) -> None:
    damage(path)
    before = files(path)
    report = shardkv.check(path)
    assert not report.ok
    assert any(found.file.startswith(file) and text in found.text for found in report.findings)
    assert files(path) == before
    assert all(str(found).startswith(found.file) for found in report.findings)


def test_a_finding_names_the_record(path: Path) -> None:
    damage_record(path)
    (found,) = shardkv.check(path).findings
    assert found.seqno == 101


def test_behind_a_damaged_retained_segment_the_next_ones_are_read(
    path: Path, tmp_path: Path
) -> None:
    shutil.copytree(path, tmp_path / "twin")
    with shardkv.open(tmp_path / "twin", **SMALL) as store:
        oldest = store.stats().log.oldest_seqno
    for n in (oldest + 5, oldest + 70):
        text = b"flushed %d" % n
        replace(file_with(path, "log/*.log", text), text, text.replace(b"d ", b"D "))
    seqnos = [found.seqno for found in shardkv.check(path).findings]
    assert len(seqnos) == 2
    assert oldest <= seqnos[0] <= oldest + 6 < seqnos[1] <= oldest + 71


def test_a_shard_put_back_to_an_earlier_state_is_found(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        for n in range(100):
            store[b"%d" % n] = b"early"
    shutil.copytree(tmp_path / "store/shards/0001", tmp_path / "early")
    with shardkv.open(tmp_path / "store") as store:
        for n in range(100):
            store[b"%d" % n] = b"late"
    shutil.rmtree(tmp_path / "store/shards/0001")
    shutil.copytree(tmp_path / "early", tmp_path / "store/shards/0001")
    (found,) = shardkv.check(tmp_path / "store").findings
    assert "older than the log remembers" in found.text


def test_a_shard_that_ends_the_process_is_a_finding_and_the_others_are_read(path: Path) -> None:
    """The file is cut behind its meta pages: LMDB maps it, and reading it is a bus error."""
    data = path / "shards/0000/data.mdb"
    data.write_bytes(data.read_bytes()[:8192])
    other = path / "shards/0001/data.mdb"
    number = next(n for n in range(200) if b"flushed %d\0" % n in other.read_bytes())
    replace(other, b"flushed %d\0" % number, b"flusheD %d\0" % number)
    report = shardkv.check(path)
    assert any(
        found.file == "shards/0000/data.mdb" and "ended the process with SIG" in found.text
        for found in report.findings
    )
    assert any(found.seqno == number + 1 for found in report.findings)


def test_both_manifests_gone_bad_is_a_finding(path: Path) -> None:
    for name in ("MANIFEST", "MANIFEST.bak"):
        replace(path / name, b"weights", b"weighTs")
    (found,) = shardkv.check(path).findings
    assert (found.file, found.text) == ("MANIFEST", "the manifest is damaged")


def test_what_a_progress_callback_raises_ends_the_check(path: Path) -> None:
    def stop(done: int, parts: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shardkv.check(path, progress=stop)
    with shardkv.open(path, **SMALL) as store:
        assert len(store) == 200


def test_a_check_imports_nothing_from_where_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shardkv.open(tmp_path / "store", shards=1).close()
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert shardkv.check(tmp_path / "store").ok


class Cramped:
    """A check whose first part needs more memory than there is."""

    parts = 3

    def __init__(self, path: str) -> None:
        self.path = path

    def part(self, number: int) -> None:
        raise shardkv.OutOfMemoryError("out of memory")


def test_memory_that_runs_out_ends_the_check_and_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was one, and a repair would have acted upon it."""
    monkeypatch.setattr(inspection, "Check", Cramped)
    inspection.inspect("store", 0, pages=False)
    run = checking.Inspection("store", False, None)
    *said, last = map(json.loads, capsys.readouterr().out.splitlines())
    for line in said:
        run._hear(line)
    with pytest.raises(shardkv.OutOfMemoryError):
        run._hear(last)
    assert not run.findings
