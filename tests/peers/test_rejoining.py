"""Rejoining: what only this directory has is in a file before it is dropped, record by record; nothing is merged."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from peers.families import WAIT_S, Away, contents, copied, family, lineage, put

import shardkv
from shardkv import ExportedRecord, exports, places, read_export

Places = tuple[Path, Path, Path]


@pytest.fixture
def split(tmp_path: Path) -> Places:
    """A family of a and b; b was promoted while a was away. The third path is for the export."""
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    with Away(a):
        shardkv.promote(b, force=True)
    return a, b, tmp_path / "export"


def all_of(path: Path) -> list[ExportedRecord]:
    return list(read_export(path))


def settled(store: shardkv.Store) -> None:
    """Wait until all peers have everything."""
    end = time.monotonic() + WAIT_S
    while any(peer.state != "current" for peer in store.peers.status()):
        assert time.monotonic() < end, store.peers.status()


def test_what_only_the_old_primary_had_is_exported_record_by_record(split: Places) -> None:
    a, b, export = split
    with Away(b), shardkv.open(a) as store:
        store.put(b"k0", b"changed")
        store.put(b"k0", b"again", ttl=1000)
        store.delete(b"k1")
        with store.batch() as batch:
            batch.put(b"x", b"\0" * 100)
            batch.put(b"y", b"")
        store.namespace("n")["key"] = [1, "two"]
        expected = [
            ExportedRecord(c.seqno, c.key, c.value, round((c.expires_at or 0) * 1000), not c.value)
            for c in store.changes(since=3)
        ]
    before = contents(b)
    for readonly in (False, True):  # neither a look nor a refused open takes anything away
        with contextlib.suppress(shardkv.FencedError):
            shardkv.open(a, readonly=readonly).close()
    done = shardkv.rejoin(a, export, primary=b)
    got = all_of(export)
    assert [r.seqno for r in got] == list(range(4, done.last_seqno + 1))
    plain = [r for r in got if not r.key.startswith(b"\xff" * 4)]
    assert [(r.seqno, r.key, r.value, r.expires_ms) for r in plain] == [
        (r.seqno, r.key, r.value, r.expires_ms) for r in expected
    ]
    assert [r.deleted for r in plain] == [r.value is None for r in plain]
    assert len(got) > len(plain)  # what namespaces wrote, too
    assert (done.common_seqno, done.records, done.export) == (3, len(got), str(export))
    assert (done.complete, done.anew) == (True, True)
    with shardkv.open(b) as store:
        store.peers.add(a)
        settled(store)
        store.put(b"new", b"1", ack="all")
    assert contents(a) == contents(b) == before | {b"new": b"1"}


def test_who_has_nothing_of_its_own_goes_on(split: Places) -> None:
    a, b, export = split
    done = shardkv.rejoin(a, export, primary=b)
    assert done == shardkv.Rejoined(str(a), 3, 3, None, 0, complete=True, anew=False)
    assert not export.exists()
    assert lineage(a).role == "peer"
    with shardkv.open(b) as store:
        store.peers.add(a)
        settled(store)
        assert sum(peer.shipped_bytes for peer in store.peers.status()) < 1000
        store.put(b"new", b"1", ack="all")
    assert contents(a) == contents(b)
    again = shardkv.rejoin(a, export, primary=b)
    assert (again.records, again.anew) == (0, False)
    put(b, "after", ack="all")
    assert contents(a) == contents(b)


def test_a_diverged_peer_rejoins_while_the_primary_is_open(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    with Away(b):
        put(a, "one", ack="quorum")
    with Away(a, c):
        shardkv.promote(b, force=True)
    with shardkv.open(b) as store:
        store.put(b"new", b"1")
        done = shardkv.rejoin(c, tmp_path / "export", primary=b)
        assert [r.key for r in all_of(tmp_path / "export")] == [b"one"]
        assert done.anew
        store.peers.remove(c)
        store.peers.add(c)
        settled(store)
    assert contents(c) == contents(b)


def test_without_the_log_only_what_is_left_is_exported_and_only_when_asked(split: Places) -> None:
    a, b, export = split
    with Away(b):
        for i in range(3):
            put(a, "k0", "k1", f"k{5 + i}")
        with shardkv.open(a) as store:
            store.delete(b"k2")
            store.put(b"last", b"1")
    before = contents(a)
    for _ in range(2):
        with pytest.raises(shardkv.LogGoneError, match="partial=True"):
            shardkv.rejoin(a, export, primary=b)
    assert contents(a) == before
    assert not export.exists()
    done = shardkv.rejoin(a, export, primary=b, partial=True)
    got = all_of(export)
    assert not done.complete
    assert [r.seqno for r in got] == sorted(r.seqno for r in got)
    rows: dict[bytes, bytes | None] = {b"k0": b"shared", b"k1": b"shared", b"k2": b"shared"}
    rows |= {r.key: r.value for r in got}
    assert {key: value for key, value in rows.items() if value is not None} == before
    assert [r.key for r in got if r.deleted] == [b"k2"]


def test_a_rejoin_that_was_ended_anywhere_goes_on(
    split: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, export = split
    with Away(b):
        put(a, "one", "two")
    ended = copied(a, "ended")

    for step in ("link", "fsync", "unlink"):
        real, left = getattr(os, step), 1

        class EndedError(BaseException):
            pass

        def end(*given: object, real: object = real, **named: object) -> object:
            raise EndedError

        monkeypatch.setattr(os, step, end)
        with pytest.raises(EndedError):
            shardkv.rejoin(ended, export, primary=b)
        monkeypatch.setattr(os, step, real)
        assert left
    done = shardkv.rejoin(ended, export, primary=b)
    assert done.records == 2
    assert [r.key for r in all_of(export)] == [b"one", b"two"]
    assert not export.with_name("export.new").exists()


def test_an_export_is_never_replaced(split: Places) -> None:
    a, b, export = split
    with Away(b):
        put(a, "one")
    export.write_text("a letter")
    with pytest.raises(shardkv.InvalidError, match="something else"):
        shardkv.rejoin(a, export, primary=b)
    assert export.read_text() == "a letter"
    assert contents(a)[b"one"] == b"a:one"


def test_what_cannot_rejoin_is_refused_untouched(split: Places, tmp_path: Path) -> None:
    a, b, export = split
    with Away(b):
        put(a, "one")
    other, single = tmp_path / "other", tmp_path / "single"
    family(other, tmp_path / "peer")
    with shardkv.open(single, shards=2) as store:
        store[b"k"] = b"1"
    before = contents(a)
    invalid, fenced = shardkv.InvalidError, shardkv.FencedError
    for path, primary, kind, text in (
        (a, a, invalid, "itself"),
        (a, other, invalid, "family"),
        (a, single, invalid, "of no family"),
        (a, tmp_path / "peer", invalid, "a peer of"),
        (a, tmp_path / "none", invalid, "holds no store"),
        (tmp_path / "none", b, invalid, "holds no store"),
        (single, b, invalid, "of no family"),
        (b, a, fenced, "promoted since"),
    ):
        with pytest.raises(kind, match=text):
            shardkv.rejoin(path, export, primary=primary)
    for bad in (a / "inside", tmp_path, tmp_path / "no" / "parent"):
        with pytest.raises(invalid):
            shardkv.rejoin(a, bad, primary=b)
    with Away(b), shardkv.open(a):
        pass
    with shardkv.open(b), pytest.raises(shardkv.LockedError):
        shardkv.rejoin(b, export, primary=a)
    with pytest.raises(TypeError, match="partial"):
        shardkv.rejoin(a, export, primary=b, partial=1)  # type: ignore[arg-type]
    assert contents(a) == before
    assert not (tmp_path / "none").exists()
    assert not export.exists()


def test_a_damaged_export_is_told(split: Places) -> None:
    a, b, export = split
    with Away(b):
        put(a, "one", "two", "three")
    shardkv.rejoin(a, export, primary=b)
    whole = export.read_bytes()
    assert len(all_of(export)) == 3
    for size in range(len(whole)):
        export.write_bytes(whole[:size])
        with pytest.raises((shardkv.CorruptionError, shardkv.FormatError)):
            all_of(export)
    for at in range(len(whole)):
        export.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises((shardkv.CorruptionError, shardkv.FormatError)):
            all_of(export)


def test_a_directory_says_durably_that_it_is_given_up_before_its_manifest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With neither name on the disk after a power cut it would be refused for good, as somebody else's."""
    a = tmp_path / "a"
    shardkv.open(a, shards=1).close()
    synced: list[set[str]] = []

    def sync(path: str) -> None:
        exports.sync_file(path)
        synced.append(set(os.listdir(path)) & {"COPYING", "MANIFEST", "MANIFEST.bak"})

    monkeypatch.setattr(places, "sync_file", sync)
    places.forget(str(a))
    assert synced == [{"COPYING", "MANIFEST", "MANIFEST.bak"}, {"COPYING"}]
