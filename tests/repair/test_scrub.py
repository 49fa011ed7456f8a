"""Scrubs: what is damaged in an open store is found, while it is used, and the store lives."""

from __future__ import annotations

import contextlib
import errno
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

import shardkv
from shardkv._native import Scrub, ShardSum
from shardkv.checks import Finding
from shardkv.children import told
from shardkv.pacing import Pace
from shardkv.passes import ShardScrub, Tally, scrub_log
from shardkv.scrubber import HOLD_S, Scrubber
from shardkv.scrubbing import scrub_shards
from shardkv.stopping import Stop

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
        assert len(report.shards) == 2


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


def test_a_scrub_maps_as_much_as_the_store_does(place: Path) -> None:
    """A map of what was there when it opened was outgrown by the next flush, and the scrub told of damage."""
    map_bytes = 1 << 26
    with shardkv.open(place / "store", shards=1, map_bytes=map_bytes) as store:
        store.put(b"key", b"value")
    with contextlib.closing(Scrub(str(place / "store"))) as work:
        work.begin(0)
        work.next(1)
        maps = Path("/proc/self/maps").read_text().splitlines()
        file = str((place / "store/shards/0000/data.mdb").resolve())
        (mapped,) = (line.split()[0] for line in maps if line.endswith(f" {file}"))
    begin, end = (int(address, 16) for address in mapped.split("-"))
    assert end - begin >= map_bytes


class Clock:
    """Time that passes when somebody sleeps, and a little with each look."""

    def __init__(self) -> None:
        self.now = self.slept = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


def scrubbed(work: Scrub, pace: Pace, clock: Clock) -> Iterator[ShardSum]:
    scrubber = Scrubber(work, pace, lambda: False, clock)
    return (scrubber.shard(number) for number in range(work.shards))


def test_a_pace_is_kept_to_by_the_bytes_that_were_read(family: Family, place: Path) -> None:
    """At any moment no more was read than the time that has passed allows, and one piece."""
    (path,) = family.copies("b", place / "copies")
    clock, rate, read = Clock(), 10_000, 0
    pace = Pace(rate, wait=clock.sleep, clock=clock)
    with contextlib.closing(Scrub(str(path))) as work:
        for found in scrubbed(work, pace, clock):
            read += found.bytes
            assert read <= clock.now * rate + pace.piece_bytes + 20_500, "a value, and its key"
    assert read > 100_000
    assert clock.slept > 0.9 * read / rate
    with shardkv.open(path, **stores.SMALL) as store, pytest.raises(shardkv.InvalidError):
        store.scrub(bytes_per_s=0)


def test_the_log_is_read_at_the_pace(family: Family, place: Path) -> None:
    (path,) = family.copies("a", place / "copies")
    clock, rate, tally = Clock(), 10_000, Tally()
    with shardkv.open(path, **stores.SMALL) as store:
        scrub_log(store._engine, Pace(rate, wait=clock.sleep, clock=clock), tally, Stop())
    assert tally.records > 300
    assert clock.slept > 0.9 * tally.bytes / rate > 1


def test_a_shard_is_held_for_a_while_at_most(
    family: Family, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = family.copies("b", place / "copies")
    clock, held = Clock(), []
    with contextlib.closing(Scrub(str(path))) as work:
        rest = work.rest

        def let_go() -> None:
            held.append(clock.now)
            rest()

        monkeypatch.setattr(work, "rest", let_go)
        whole = list(scrubbed(work, Pace(1000, wait=clock.sleep, clock=clock), clock))
    assert all(found.proven for found in whole), "nobody flushed"
    assert len(held) >= 2
    gaps = [later - sooner for sooner, later in itertools.pairwise([0.0, *held])]
    assert all(gap < HOLD_S + 25 for gap in gaps), "and the rest after one long value"


WRITE = """
import shardkv, sys
with shardkv.open(sys.argv[1]) as store:
    store.put_many({b"%04d" % n: b"new" for n in range(0, 600, 2)})
"""


@pytest.mark.parametrize("let_go", [True, False])
def test_a_flush_within_is_no_damage_and_whether_all_is_proven_is_told(
    place: Path, let_go: bool
) -> None:
    path = place / "store"
    with shardkv.open(path, shards=1) as store:
        store.put_many({b"%04d" % n: b"v" * 100 for n in range(300)})
    with contextlib.closing(Scrub(str(path))) as work:
        work.begin(0)
        assert not work.next(10_000).ended
        if let_go:
            work.rest()
        subprocess.run([sys.executable, "-c", WRITE, path], check=True)
        piece = work.next(1 << 40)
        assert piece.ended
        assert piece.findings == []
        assert piece.sum.proven is not let_go
        assert (piece.sum.records > 400) is let_go
        work.begin(0)
        assert work.next(1 << 40).sum.proven


def test_an_old_record_in_the_place_of_a_new_one_is_found(place: Path) -> None:
    """A write that the disk lost: the record is sound by itself."""
    path = place / "store"
    found = []
    for value in (b"old", b"new"):
        with shardkv.open(path, shards=1) as store:
            store[b"k"] = value
        with lmdb.open(str(path / "shards/0000")) as env, env.begin(write=True) as txn:
            found.append(txn.get(b"k"))
            txn.put(b"k", found[0])
    (finding,) = scrub_shards(path).findings
    assert "an old one in the place of a new one" in finding.text


def test_of_many_findings_in_a_shard_a_hundred_are_told_and_the_others_counted() -> None:
    found: list[Finding] = []
    wrong = told(shardkv.CorruptionError("wrong", file="f"))
    work = ShardScrub("store", None, 0, Tally(), Stop())
    work._find, work._progress = found.append, None
    for count, more in ((60, 0), (100, 7)):
        work._hear({"bytes": 5, "records": 1, "findings": [wrong] * count, "more": more})
    work._hear({"sum": [0, 0, 0, 0, True]})
    assert [finding.text for finding in found] == ["wrong"] * 100 + ["67 findings more"]
    assert found[-1].file == "shards/0000/data.mdb"
    work._hear({"bytes": 5, "records": 1, "findings": [wrong], "more": 0})
    work._hear({"sum": [0, 0, 0, 0, True]})
    assert len(found) == 102
    assert (work.tally.bytes, work.tally.records) == (15, 3)


def test_what_the_log_lets_go_meanwhile_is_passed_over(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shardkv.open(place / "store") as store:
        for n in range(20):
            store[b"%d" % n] = b"v"
        engine = store._engine.reserved()
        gone = iter([shardkv.LogGoneError("gone", seqno=15)])
        real = engine.next_changes

        def next_changes(feed: object, block_bytes: int) -> object:
            for error in gone:
                raise error
            return real(feed, block_bytes)

        monkeypatch.setattr(engine, "next_changes", next_changes)
        monkeypatch.setattr(type(store._engine), "reserved", lambda _: engine)
        tally = Tally()
        scrub_log(store._engine, Pace(None), tally, Stop())
    assert 1 <= tally.records <= 6


def test_records_in_the_wrong_order_are_found(place: Path) -> None:
    """Each is sound, and so is their sum; but a search does not find them."""
    with shardkv.open(place / "store", shards=1) as store:
        store.put_many({b"key %d" % n: b"v" for n in range(9)})
    file = place / "store/shards/0000/data.mdb"
    image = bytearray(file.read_bytes())
    for at in range(8192, len(image), 4096):
        if b"key 5" in image[at : at + 4096]:
            image[at + 18 : at + 22] = image[at + 20 : at + 22] + image[at + 18 : at + 20]
    file.write_bytes(image)
    assert any("wrong place" in found.text for found in scrub_shards(place / "store").findings)


def test_nobody_goes_on_for_a_parent_that_is_gone(family: Family, place: Path) -> None:
    (path,) = family.copies("b", place / "copies")
    with contextlib.closing(Scrub(str(path))) as work, pytest.raises(SystemExit):
        Scrubber(work, Pace(None), lambda: True).shard(0)


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
        assert all(found.peer == str(names[1]) for found in report.findings)
        assert all(str(names[1]) in str(found) for found in report.findings)
        assert store[VICTIM] == b"here"


def test_a_process_that_cannot_be_started_is_told_by_its_type(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a descriptor a scrub, or a check, raised a bare OSError."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with shardkv.open(place / "store", shards=1) as store:
        monkeypatch.setattr(subprocess, "Popen", refuse)
        with pytest.raises(shardkv.DiskError, match="Too many open files") as caught:
            store.scrub()
        assert caught.value.errno == errno.EMFILE
