"""Counters: they add up, with each other and with what was done."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

import shardkv
from shardkv._native.crossing import Workspace
from shardkv._native.looking import Looking

COUNT = 500


@pytest.fixture
def written(store: shardkv.Store) -> shardkv.Store:
    store.put_many({b"%04d" % n: b"v" * 100 for n in range(COUNT)})
    return store


def test_stats_are_frozen_and_whole(store: shardkv.Store) -> None:
    stats = store.stats()
    for part in (stats, stats.log, *stats.shards):
        for field in dataclasses.fields(part):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(part, field.name, 3)
    assert len(stats.shards) == 3
    assert stats.snapshots == ()
    assert isinstance(stats, shardkv.Stats)
    assert isinstance(stats.log, shardkv.LogStats)
    assert isinstance(stats.shards[0], shardkv.ShardStats)


def test_a_new_store_has_done_nothing(store: shardkv.Store) -> None:
    stats = store.stats()
    assert (stats.seqno, stats.durable_seqno, stats.replayed_records) == (0, 0, 0)
    assert (stats.unflushed_bytes, stats.unflushed_records, stats.unflushed_age_s) == (0, 0, 0)
    assert stats.stall_s == 0
    assert stats.log.syncs <= 1, "the header of the segment"
    assert [shard.records for shard in stats.shards] == [0, 0, 0]


def test_what_is_unflushed_is_counted_by_shard_and_in_sum(written: shardkv.Store) -> None:
    stats = written.stats()
    assert stats.unflushed_records == COUNT
    assert stats.unflushed_bytes >= COUNT * (4 + 100)
    assert stats.unflushed_bytes == sum(shard.unflushed_bytes for shard in stats.shards)
    assert stats.unflushed_records == sum(shard.unflushed_records for shard in stats.shards)
    assert stats.unflushed_age_s > 0
    assert stats.index_bytes > 0


def test_a_flush_moves_the_counts_into_the_shards(written: shardkv.Store) -> None:
    written.flush()
    stats = written.stats()
    assert (stats.unflushed_bytes, stats.unflushed_records, stats.unflushed_age_s) == (0, 0, 0)
    assert sum(shard.records for shard in stats.shards) == COUNT
    assert sum(shard.flushed_records for shard in stats.shards) == COUNT
    for number, shard in enumerate(stats.shards):
        mine = [n for n in range(COUNT) if written.shard_of(b"%04d" % n) == number]
        assert shard.records == len(mine)
        assert shard.applied_seqno >= max(mine) + 1
        assert shard.flushes > 0
        assert shard.flush_s > 0
        assert shard.file_bytes > 104 * len(mine)


def test_a_key_that_is_written_again_is_one_record(store: shardkv.Store) -> None:
    for turn in range(20):
        store.put(b"one", b"%d" % turn)
    assert (store.stats().seqno, store.stats().unflushed_records) == (20, 1)
    store.flush()
    assert sum(shard.records for shard in store.stats().shards) == 1
    assert sum(shard.flushed_records for shard in store.stats().shards) == 1


def test_the_histograms_of_the_log_count_each_sync_once(store: shardkv.Store) -> None:
    for n in range(20):
        store.put(b"%d" % n, b"")
    store.put_many({b"%d" % n: b"" for n in range(100)})
    log = store.stats().log
    assert sum(log.group_sizes) == sum(log.sync_us) == log.syncs
    assert len(log.group_sizes) == len(log.sync_us) == 32
    assert log.group_sizes[0] >= 20, "groups of one"
    assert log.group_sizes[6] == 1, "one of 64..127"
    least = sum(count << bucket for bucket, count in enumerate(log.group_sizes))
    assert least <= store.stats().seqno < 2 * least
    assert log.synced_bytes >= 120 * 18
    assert (log.segments, log.bytes) == (1, 4 << 20)


def test_what_was_replayed_is_told(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store", shards=3)
    store.put_many({b"%d" % n: b"" for n in range(70)})
    store.close(flush=False)
    with shardkv.open(tmp_path / "store") as store:
        stats = store.stats()
        assert (stats.replayed_records, stats.unflushed_records) == (70, 70)
        assert (stats.seqno, stats.durable_seqno) == (70, 70)


def test_what_is_retained_of_the_log_is_told(tmp_path: Path) -> None:
    small = {"shards": 2, "segment_bytes": (65536, 65536)}
    with shardkv.open(tmp_path / "store", retain_log_bytes=300_000, **small) as store:
        assert (store.stats().log.retained_bytes, store.stats().log.oldest_seqno) == (0, 1)
        for n in range(100):
            store.put(b"%d" % n, bytes(10_000))
    with shardkv.open(tmp_path / "store", retain_log_bytes=300_000, **small) as store:
        while (log := store.stats().log).retained_bytes > 300_000:  # the log loop gives it back
            threading.Event().wait(0.01)
        assert log.retained_bytes > 200_000
        assert 50 < log.oldest_seqno < 90
    with shardkv.open(tmp_path / "store", retain_log_bytes=0, **small) as store:
        store.put(b"a", b"b")
    with shardkv.open(tmp_path / "store", **small) as store:
        while store.stats().log.retained_bytes:
            threading.Event().wait(0.01)
        assert store.stats().log.oldest_seqno == 102


def test_snapshots_are_told_oldest_first_while_they_live(store: shardkv.Store) -> None:
    cuts = []
    for n in range(3):
        store.put(b"a", b"%d" % n)
        cuts.append(store.snapshot())
    told = store.stats().snapshots
    assert [cut.seqno for cut in told] == [1, 2, 3]
    ages = [cut.age_s for cut in told]
    assert ages == sorted(ages, reverse=True)
    assert ages[-1] >= 0
    cuts[1].close()
    assert [cut.seqno for cut in store.stats().snapshots] == [1, 3]
    assert store.stats().snapshots[0].age_s > ages[0]
    store.put_many({b"%02d" % n: b"" for n in range(97)})
    scan = store.scan()  # more rows than it begins with
    assert [cut.seqno for cut in store.stats().snapshots] == [1, 3, 100]
    for cut in cuts:
        cut.close()
    del scan
    assert store.stats().snapshots == ()


def test_more_snapshots_than_a_first_look_has_room_for_are_all_told(store: shardkv.Store) -> None:
    cuts = [store.snapshot() for _ in range(70)]
    assert len(store.stats().snapshots) == 70
    for cut in cuts:
        cut.close()


def test_every_key_has_one_shard_that_stays(written: shardkv.Store, tmp_path: Path) -> None:
    before = {b"%04d" % n: written.shard_of(b"%04d" % n) for n in range(COUNT)}
    assert set(before.values()) == {0, 1, 2}
    written.flush()
    assert before == {key: written.shard_of(key) for key in before}


def test_no_shard_seems_to_be_ahead_of_the_log(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seqno was read before the shards: a flush in between made them newer than everything."""
    look = Looking._shard_stats

    def write_first(engine: Looking, shard: int, ws: Workspace) -> shardkv.ShardStats:
        store.put(b"%d" % shard, b"")
        store.flush()
        return look(engine, shard, ws)

    monkeypatch.setattr(Looking, "_shard_stats", write_first)
    stats = store.stats()
    assert max(shard.applied_seqno for shard in stats.shards) <= stats.seqno
