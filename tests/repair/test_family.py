"""A store and its peers: who is believed, and what a repair leaves of the family."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import shardkv
from shardkv import repairing
from shardkv._native import look_at_lineage
from shardkv.lineage import TERM, Epoch, Lineage, unpacked
from shardkv.repairing import EVERYTHING, believed, unpromoted

from . import stores

SMALL = {name: value for name, value in stores.SMALL.items() if name != "retain_log_bytes"}


@pytest.fixture
def family_of_three(place: Path) -> tuple[list[Path], stores.Rows]:
    """A closed store with two peers; each of the three flushed by itself."""
    paths = [place / name for name in "abc"]
    with shardkv.open(paths[0], peers=paths[1:], ack="all", **SMALL) as store:
        stores.write(store, 0, 150, 300)
        store.flush()
        stores.write(store, 100, 100, 300)
        store.put(b"last", b"one")
        rows = stores.rows_of(store)
    return paths, rows


def garble_shard(path: Path, shard: int) -> None:
    """Zero every page that has, or had, certain keys."""
    file = path / f"shards/{shard:04}/data.mdb"
    image = bytearray(file.read_bytes())
    for at in range(8192, len(image), 4096):
        if b"key 0012" in image[at : at + 4096]:
            image[at : at + 4096] = bytes(4096)
    file.write_bytes(image)


def test_a_store_is_repaired_from_the_peers_that_it_knows_and_goes_on_with_them(
    family_of_three: tuple[list[Path], stores.Rows],
) -> None:
    paths, rows = family_of_three
    garble_shard(paths[0], 0)
    garble_shard(paths[1], 1)
    (paths[0] / "MANIFEST").unlink()
    shutil.rmtree(paths[2] / "shards/0001")
    report = shardkv.check(paths[0], repair=True)
    assert report.findings
    assert report.ok
    with shardkv.open(paths[0], **SMALL) as store:
        assert stores.rows_of(store) == rows
    for path in paths[1:]:
        others = [other for other in paths if other != path]
        assert shardkv.check(path, peers=others, repair=True).ok
        assert shardkv.check(path).findings == ()
    with shardkv.open(paths[0], ack="all", **SMALL) as store:
        store.put(b"more", b"for all")
    for path in paths:
        with shardkv.open(path, readonly=True) as store:
            assert store[b"more"] == b"for all"
            assert len(store) == len(rows) + 1


def test_a_store_that_lost_its_manifest_comes_back_as_a_peer(
    family_of_three: tuple[list[Path], stores.Rows],
) -> None:
    """Which role it had is lost with it, and a peer harms nobody: promote makes it a primary."""
    paths, rows = family_of_three
    for name in ("MANIFEST", "MANIFEST.bak"):
        (paths[0] / name).unlink()
    assert shardkv.check(paths[0], peers=paths[1:], repair=True).ok
    lineage = unpacked(look_at_lineage(str(paths[0])) or b"")
    assert lineage is not None
    assert lineage.role == "peer"
    with shardkv.open(paths[0], readonly=True) as store:
        assert stores.rows_of(store) == rows


def test_who_is_no_copy_is_refused_and_nothing_is_touched(
    family_of_three: tuple[list[Path], stores.Rows], place: Path
) -> None:
    paths, _ = family_of_three
    with shardkv.open(place / "x", shards=2, peers=[place / "y"], ack="all") as store:
        store[b"a"] = b"of others"
    with shardkv.open(place / "z", shards=3) as store:
        store[b"a"] = b"of others"
    garble_shard(paths[0], 0)
    before = sorted(os.listdir(place))
    for peers, why in (
        ([place / "x"], "another family"),
        ([place / "z"], "its shards are others"),
        ([paths[1], paths[1]], "named twice"),
        ([paths[0]], "named twice, or is the store itself"),
        ([place / "none"], "holds no store"),
    ):
        with pytest.raises(shardkv.InvalidError, match=why):
            shardkv.check(paths[0], peers=peers, repair=True)
    with shardkv.open(paths[1], readonly=True), pytest.raises(shardkv.LockedError):
        shardkv.check(paths[0], repair=True)
    assert [name for name in sorted(os.listdir(place)) if ".mending" not in name] == before


def test_copies_are_believed_as_far_as_their_histories_agree() -> None:
    first, second = Epoch(1, 11, 1), Epoch(TERM, 22, 500)
    assert unpromoted(Lineage(bytes(16), "peer", (first,))) == EVERYTHING
    assert unpromoted(Lineage(bytes(16), "peer", (first, second))) == 499
    # Nobody knows any more when that promotion was.
    assert unpromoted(Lineage(bytes(16), "peer", (Epoch(TERM + 7, 44, 900),))) == 0


def test_a_copy_is_believed_up_to_where_its_history_is_ours(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the store itself, when it does not know, up to the newest promotion that a copy knows of."""
    first = Epoch(1, 11, 1)
    ours = Lineage(bytes(16), "primary", (first, Epoch(2, 22, 100)))
    strayed = Lineage(bytes(16), "peer", (first, Epoch(2, 33, 150)))
    promoted = Lineage(bytes(16), "peer", (first, Epoch(TERM, 44, 500)))
    known = {"ours": ours, "strayed": strayed, "promoted": promoted}
    monkeypatch.setattr(repairing, "lineage_of", known.get)
    told = believed("ours", ["strayed", "backup"])
    assert told == [("ours", EVERYTHING), ("strayed", 99), ("backup", EVERYTHING)]
    told = believed("lost", ["strayed", "promoted"])
    assert told == [("lost", 499), ("strayed", 149), ("promoted", EVERYTHING)]
    (place / "link").symlink_to(place)
    with pytest.raises(shardkv.InvalidError, match="is the store itself"):
        believed(str(place / "link"), [str(place)])


def test_a_repair_that_was_killed_between_its_two_renames_is_finished(
    family_of_three: tuple[list[Path], stores.Rows],
) -> None:
    paths, rows = family_of_three
    os.rename(paths[0], str(paths[0]) + ".mending")
    assert shardkv.check(paths[0], repair=True).findings == ()
    with shardkv.open(paths[0], **SMALL) as store:
        assert stores.rows_of(store) == rows


def test_copies_without_a_lineage_are_the_callers_word(place: Path) -> None:
    for name in ("a", "b"):
        shardkv.open(place / name, shards=2).close()
    names = [str(place / name) for name in ("a", "b")]
    assert believed(names[0], names[1:]) == [(name, EVERYTHING) for name in names]
