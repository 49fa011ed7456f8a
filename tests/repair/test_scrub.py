"""Scrubs: what is damaged in an open store is found, while it is used, and the store lives."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import shardkv
from shardkv.scrubbing import differences, scrub_shards

from . import stores
from .conftest import Family
from .test_quarantine import VICTIM, spoil, spoil_logs


def test_a_sound_store_has_no_findings_while_it_is_written_to(place: Path) -> None:
    with shardkv.open(place / "store", **stores.SMALL) as store:
        stores.write(store, 0, 200, 20_000)
        store.flush()
        over = threading.Event()

        def go_on() -> None:
            n = 0
            while not over.is_set():
                n += 1
                store.put(b"more %d" % (n % 500), b"x" * 500, ack="memory")
                if n % 2000 == 0:
                    store.flush()

        writer = threading.Thread(target=go_on)
        writer.start()
        try:
            for _ in range(5):
                report = store.scrub()
                assert report.findings == ()
        finally:
            over.set()
            writer.join()
        assert report.bytes > 200 * 20
        assert [found and found.shards for found in report.shards] == [2, 2]


def test_a_damaged_record_of_an_open_store_is_found_and_named(family: Family, place: Path) -> None:
    (path,) = family.copies("b", place / "copies")
    spoil([path], VICTIM)
    with shardkv.open(path, **stores.SMALL) as store:
        calls: list[tuple[int, int]] = []
        report = store.scrub(progress=lambda done, total: calls.append((done, total)))
        assert calls == [(1, 2), (2, 2)]
        assert [found.seqno for found in report.findings] == [family.rows[VICTIM][1]]
        assert not report.ok
        store.put(b"still", b"here")


def test_a_damaged_record_of_the_log_is_found(family: Family, place: Path) -> None:
    (path,) = family.copies("b", place / "copies")
    with shardkv.open(path, **stores.SMALL) as store:
        oldest = store.stats().log.oldest_seqno
        key = next(key for key, (_, version, _) in family.rows.items() if version > oldest + 5)
        spoil_logs([path], key)
        (found,) = store.scrub().findings
        assert found.file.startswith("log/")
        assert oldest < found.seqno <= family.rows[key][1]


def test_a_page_that_ends_the_process_is_a_finding_and_the_other_shards_are_read(
    family: Family, place: Path
) -> None:
    """The file is cut behind its meta pages: reading it is a bus error."""
    (path,) = family.copies("b", place / "copies")
    data = path / "shards/0000/data.mdb"
    data.write_bytes(data.read_bytes()[:8192])
    report = scrub_shards(path)
    assert [found.file for found in report.findings] == ["shards/0000/data.mdb"]
    assert "ended the process with SIG" in report.findings[0].text
    assert report.shards[0] is None
    assert report.shards[1] is not None
    assert report.shards[1].records > 50


def test_a_pace_is_kept_to(family: Family, place: Path) -> None:
    (path,) = family.copies("b", place / "copies")
    fast = scrub_shards(path)
    paced = scrub_shards(path, bytes_per_s=4 * fast.bytes)
    assert paced.seconds >= 0.15
    with shardkv.open(path, **stores.SMALL) as store, pytest.raises(shardkv.InvalidError):
        store.scrub(bytes_per_s=0)


def test_copies_that_differ_are_told(family: Family, place: Path) -> None:
    paths = family.copies("bb", place / "copies")
    mine, others = (scrub_shards(path).shards for path in paths)
    assert differences(mine, others, "peer") == []
    assert mine[0] is not None
    other = [mine[0]._replace(digest=mine[0].digest ^ 1), *mine[1:]]
    (found,) = differences(mine, other, "peer")
    assert found.file == "shards/0000/data.mdb"
    assert "peer" in found.text


def test_peers_are_scrubbed_and_compared(place: Path) -> None:
    names = [place / "one", place / "other"]
    with shardkv.open(place / "store", peers=names, ack="all", **stores.SMALL) as store:
        stores.write(store, 0, 200, 20_000)
        store.put(VICTIM, b"here")
        report = store.scrub()
        assert report.findings == ()
        assert set(report.compared) == {str(name) for name in names}
        spoil([names[1]], VICTIM)
        report = store.scrub()
        assert report.findings
        assert all(found.file.startswith(str(names[1])) for found in report.findings)
        assert store[VICTIM] == b"here"


def test_a_peer_that_lacks_a_record_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sound copies that are not the same: one of them was scrubbed in place of the peer."""
    with shardkv.open(place / "stray", **stores.SMALL) as stray:
        stray[b"k"] = b"1"
    with shardkv.open(place / "store", peers=[place / "one"], ack="all", **stores.SMALL) as store:
        store[b"k"] = b"2"
        scrubbed = scrub_shards(place / "stray")
        monkeypatch.setattr(shardkv.scrubbing, "scrub_shards", lambda path, bytes_per_s: scrubbed)
        (found,) = store.scrub().findings
        assert str(place / "one") in found.text
