"""Rejoining: what is known of the primary, in which order things are done, and what is left of the directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from peers.families import Away, contents, copied, family, lineage, put

import shardkv
from shardkv import places, rejoining
from shardkv._native import Engine
from shardkv.rejoining import primary_at


def test_of_a_primary_that_is_open_is_known_what_its_epoch_began_after(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    assert primary_at(str(a)) == (lineage(a), 3)
    with shardkv.open(a) as store:
        store.put(b"x", b"1")
        assert primary_at(str(a)) == (lineage(a), 3)
    assert primary_at(str(a)) == (lineage(a), 4)


def test_a_copy_of_the_primary_that_never_was_opened_becomes_a_peer(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    stray = copied(a, "stray")
    done = shardkv.rejoin(stray, tmp_path / "export", primary=a)
    assert not done.anew
    assert lineage(stray).role == "peer"
    with shardkv.open(a) as store:
        store.peers.add(stray)
        store.put(b"x", b"1", ack="all")
    assert contents(stray) == contents(a)


def test_who_looks_at_the_directory_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    family(a, b)
    looks = iter([True, False])

    def look(*given: Any) -> Engine:
        if next(looks):
            raise shardkv.LockedError("somebody looks")
        return Engine(*given)

    monkeypatch.setattr(rejoining, "Engine", look)
    assert shardkv.rejoin(b, tmp_path / "export", primary=a).last_seqno == 3


def test_nothing_is_given_up_before_its_export_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, export = tmp_path / "a", tmp_path / "b", tmp_path / "export"
    family(a, b)
    with Away(a):
        shardkv.promote(b, force=True)
    with Away(b):
        put(a, "one")
    there: list[int] = []

    def forget(path: str) -> None:
        there.append(len(list(shardkv.read_export(export))))
        places.forget(path)

    monkeypatch.setattr(rejoining, "forget", forget)
    shardkv.rejoin(a, export, primary=b)
    assert there == [1]


def test_what_is_given_up_is_an_unfinished_copy_and_nothing_else(tmp_path: Path) -> None:
    a = tmp_path / "a"
    shardkv.open(a, shards=1).close()
    (a / "MANIFEST").unlink()
    assert places.holds_store(str(a)), "its second manifest says so"
    (a / "MANIFEST.new").write_bytes(b"a replacement that never came to an end")
    places.forget(str(a))
    assert set(os.listdir(a)) <= places.UNFINISHED
    assert not places.holds_store(str(a))
    assert (a / "COPYING").read_bytes() == b""
