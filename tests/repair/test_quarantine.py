"""The same record damaged in every copy: it is listed, and never answered with something older."""

from __future__ import annotations

from pathlib import Path

import pytest

import shardkv

from . import stores
from .conftest import Family

VICTIM = b"key 00123"


HEAD_BYTES = 12  # between a key and its value in a shard


def overwrite(path: Path, at: int, byte: int) -> None:
    """Change a byte of a file that somebody may have open."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([byte]))


def spoil(copies: list[Path], key: bytes) -> None:
    """Turn over a bit of a record's value in the shard of each copy."""
    for path in copies:
        file = next(file for file in path.glob("shards/*/data.mdb") if key in file.read_bytes())
        image = bytearray(file.read_bytes())
        at = image.find(key)
        while at >= 0:
            place = at + len(key) + HEAD_BYTES + 1
            overwrite(file, place, image[place] ^ 4)
            at = image.find(key, at + 1)


def spoil_logs(copies: list[Path], key: bytes, bit: int = 4) -> None:
    """Turn over a bit of a key wherever a log has it."""
    for path in copies:
        for file in path.glob("log/*.log"):
            image = bytearray(file.read_bytes())
            at = image.find(key)
            while at >= 0:
                overwrite(file, at, image[at] ^ bit)
                at = image.find(key, at + 1)


def refused(store: shardkv.Store, key: bytes) -> bool:
    try:
        store.get(key)
    except shardkv.CorruptionError:
        return True
    return False


def test_a_record_that_no_copy_has_is_listed_and_its_key_raises(
    family: Family, place: Path
) -> None:
    """In shards alone: the sums of the shards tell exactly which record is gone, so all others are served."""
    copies = family.copies("bbb", place / "copies")
    spoil_logs(copies, VICTIM)
    spoil(copies, VICTIM)
    report = shardkv.check(copies[0], peers=copies[1:], repair=True)
    assert not report.ok
    assert report.repaired is not None
    (lost,) = report.repaired.lost
    version = family.rows[VICTIM][1]
    assert lost.seqno == version
    assert VICTIM.decode() in lost.text
    with pytest.raises(shardkv.CorruptionError, match="quarantined=True"):
        shardkv.open(copies[0])
    with shardkv.open(copies[0], quarantined=True) as store:
        assert refused(store, VICTIM)
        assert stores.rows_of(store) == {k: v for k, v in family.rows.items() if k != VICTIM}
        store[VICTIM] = b"made anew"
        store.flush()
        assert store[VICTIM] == b"made anew"
    (copies[0] / "QUARANTINE").unlink()
    with shardkv.open(copies[0]) as store:
        assert len(store) == len(family.rows)


def test_a_page_that_no_copy_has_makes_its_shard_answer_for_nothing_older(
    family: Family, place: Path
) -> None:
    """Which records were on it is not known, so no other of the shard is proven to be the newest of its key."""
    copies = family.copies("bbb", place / "copies")
    spoil_logs(copies, b"key 00")
    for path in copies:
        file = path / "shards/0001/data.mdb"
        image = bytearray(file.read_bytes())
        page = image.find(b"key 0012") // 4096
        image[page * 4096 : (page + 1) * 4096] = bytes(4096)
        file.write_bytes(image)
    report = shardkv.check(copies[0], peers=copies[1:], repair=True)
    assert report.repaired is not None
    assert [lost.file for lost in report.repaired.lost] == ["shards/0001/data.mdb"]
    with shardkv.open(copies[0], quarantined=True) as store:
        for key, (value, _, _) in family.rows.items():
            if store.shard_of(key) == 0:
                assert store.get(key) == value
            else:
                assert refused(store, key)
                assert refused(store.snapshot(), key)
                with pytest.raises(shardkv.CorruptionError):
                    store.incr(key)


def test_a_log_record_that_no_copy_has_is_never_answered_with_what_it_replaced(
    family: Family, place: Path
) -> None:
    copies = family.copies("aaa", place / "copies")
    key = b"key 00346"  # in the log alone
    for number, path in enumerate(copies):
        spoil_logs([path], key, 1 << number)
    report = shardkv.check(copies[0], peers=copies[1:], repair=True)
    assert report.repaired is not None
    assert {lost.seqno for lost in report.repaired.lost} == {family.rows[key][1]}
    with shardkv.open(copies[0], quarantined=True) as store:
        for row, (value, version, _) in family.rows.items():
            if version > family.rows[key][1]:
                assert store.get(row) == value
            else:
                assert refused(store, row)


def test_a_store_in_quarantine_is_no_source_and_is_not_copied(family: Family, place: Path) -> None:
    copies = family.copies("bb", place / "copies")
    spoil_logs(copies, VICTIM)
    spoil(copies, VICTIM)
    assert shardkv.check(copies[0], peers=copies[1:], repair=True).repaired
    assert "QUARANTINE" in {found.file for found in shardkv.check(copies[0]).findings}
    for first, second in (copies, copies[::-1]):
        with pytest.raises(shardkv.InvalidError, match="quarantine"):
            shardkv.check(first, peers=[second], repair=True)
    with pytest.raises(shardkv.CorruptionError, match="lost"):
        shardkv.restore(copies[0], place / "restored")
    with shardkv.open(copies[0], quarantined=True) as store:
        with pytest.raises(shardkv.CorruptionError, match="lost"):
            store.backup(place / "backup")


def test_a_list_of_losses_that_cannot_be_read_keeps_the_store_closed(
    family: Family, place: Path
) -> None:
    (path,) = family.copies("b", place / "copies")
    (path / "QUARANTINE").write_text("{}")
    for quarantined in (False, True):
        with pytest.raises(shardkv.CorruptionError, match="QUARANTINE"):
            shardkv.open(path, quarantined=quarantined)
    (path / "QUARANTINE").unlink()
    shardkv.open(path).close()
