"""What a repair takes from each source, how far it believes it, and what the new store goes on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shardkv

from . import stores
from .conftest import Family
from .stores import EVERYTHING
from .test_quarantine import VICTIM, spoil, spoil_logs
from .test_spread import spoil_keys

DAY_MS = 86_400_000


@pytest.mark.parametrize("weights", [None, (1, 3)])
def test_a_layout_that_no_manifest_tells_is_tried_and_the_sums_judge_it(
    place: Path, weights: tuple[int, ...] | None
) -> None:
    path = place / "store"
    with shardkv.open(path, shards=2, weights=weights) as store:
        store.put_many({b"key %d" % n: b"v" for n in range(100)})
        store.flush()
        store[b"later"] = b"in the log"
        rows = stores.rows_of(store)
        store.close(flush=False)
    for file in path.glob("MANIFEST*"):
        file.unlink()
    if weights:
        with pytest.raises(shardkv.CorruptionError, match="does not tell the layout"):
            stores.mend([path], place / "mended")
    else:
        assert stores.mend([path], place / "mended")[1] == []
        with shardkv.open(place / "mended") as store:
            assert stores.rows_of(store) == rows


def test_shards_of_other_weights_are_no_copies(place: Path) -> None:
    for name, weights in (("a", (1, 1)), ("b", (1, 3))):
        shardkv.open(place / name, shards=2, weights=weights).close()
    with pytest.raises(shardkv.InvalidError, match="its shards are others"):
        stores.mend([place / "a", place / "b"], place / "mended")


def test_what_holds_a_store_is_not_mended_into(family: Family, place: Path) -> None:
    source, dest = family.copies("ab", place / "copies")
    before = stores.state(dest)
    with pytest.raises(shardkv.InvalidError, match="holds a store already"):
        stores.Mend([(str(source), EVERYTHING)], str(dest))
    assert stores.state(dest) == before


@pytest.mark.parametrize("flushed", [True, False])
def test_a_copy_that_went_another_way_is_believed_up_to_there(place: Path, flushed: bool) -> None:
    """What it has beyond fits in place and number, and is sound: nothing but the limit keeps it out."""
    stores.make_store(place / "a", 200)
    shutil.copytree(place / "a", place / "b")
    for name in "ab":
        with shardkv.open(place / name, **stores.SMALL) as store:
            shared = store.stats().seqno
            store[b"strayed"] = b"of " + name.encode()
            if flushed:
                store.flush()
            store.close(flush=False)
    spoil_keys(place / "a", [b"strayed", VICTIM])
    sources = [(place / "a", EVERYTHING), (place / "b", shared)]
    _, losses, _ = stores.mend_upto(sources, place / "mended")
    assert losses
    assert all(f"seqno {shared + 1} " in loss for loss in losses)
    with shardkv.open(place / "mended") as store:
        assert b"strayed" not in store
        assert store[VICTIM]


def test_only_what_no_copy_has_is_told_as_lost(family: Family, place: Path) -> None:
    copies = family.copies("bb", place / "copies")
    with shardkv.open(copies[0], readonly=True) as store:
        shard = store.shard_of(VICTIM)
        keys = (key for key in family.rows if key.startswith(b"key") and key != VICTIM)
        other = next(key for key in keys if store.shard_of(key) == shard)
    spoil_logs(copies, VICTIM)
    spoil(copies, VICTIM)
    spoil_keys(copies[0], [other])
    _, losses = stores.mend(copies, place / "mended")
    assert len(losses) == 1
    assert VICTIM.decode() in losses[0]


def test_a_hole_in_the_log_is_no_matter_to_a_shard_that_is_beyond_it(
    short_family: Family, place: Path
) -> None:
    path, flushed = short_family.copies("ab", place / "copies")
    with shardkv.open(path, readonly=True) as store:
        key = next(
            key
            for key in (b"key %05d" % n for n in range(341, 350))
            if store.shard_of(key) == 0 and key in store
        )
    shutil.copy(flushed / "shards/0001/data.mdb", path / "shards/0001/data.mdb")
    spoil_logs([path], key)
    _, losses, suspects = stores.mend_upto([(path, EVERYTHING)], place / "mended")
    assert {loss.split(":")[0] for loss in losses} == {"shards/0000/data.mdb"}
    assert suspects == [short_family.rows[key][1] + 1, 0]


def test_the_new_store_goes_on_with_numbers_and_time_and_knows_older_shards(
    family: Family, place: Path
) -> None:
    path, older = family.copies("ba", place / "copies")
    with shardkv.open(path, **stores.SMALL) as store:
        store._engine.shift_clock(DAY_MS)
        now = store._engine.clock_ms()
    seqno, losses = stores.mend([older, path], place / "mended")
    assert losses == []
    assert not (place / "mended/COPYING").exists(), "else it would be no store without a manifest"
    shutil.copytree(place / "mended", place / "other")
    with shardkv.open(place / "mended") as store:
        assert store.put(b"next", b"one") == seqno + 1
        assert store._engine.clock_ms() >= now
    shutil.copy(older / "shards/0001/data.mdb", place / "other/shards/0001/data.mdb")
    with pytest.raises(shardkv.CorruptionError):
        shardkv.open(place / "other")
