"""The worker threads: three for each engine, there while it is open, gone with it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import shardkv

Loops = set[threading.Thread]
NAMES = ["shardkv-flush", "shardkv-log", "shardkv-sync"]


def loops() -> Loops:
    return {thread for thread in threading.enumerate() if thread.name.startswith("shardkv-")}


@pytest.fixture
def others() -> Loops:
    """Loops of stores that are none of ours."""
    return loops()


def test_an_engine_has_a_thread_for_each_loop_while_it_is_open(
    others: Loops, tmp_path: Path
) -> None:
    for flush in (True, False):
        store = shardkv.open(tmp_path / "store")
        mine = loops() - others
        assert sorted(loop.name for loop in mine) == NAMES
        assert all(loop.daemon for loop in mine)
        store.put(b"a", b"b", ack="memory")
        store.close(flush=flush)
        assert not any(loop.is_alive() for loop in mine)


def test_stores_that_share_an_engine_share_its_threads(others: Loops, tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store") as store:
        mine = loops() - others
        with shardkv.open(store.path):
            assert loops() - others == mine
            with shardkv.open(tmp_path / "other"):
                assert len(loops() - others) == 2 * len(mine)
        assert loops() - others == mine


def test_a_failed_opening_leaves_no_thread(others: Loops, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(shardkv.FormatError):
        shardkv.open(tmp_path)
    assert loops() <= others


def test_the_loops_sync_and_flush_without_being_asked(tmp_path: Path) -> None:
    """What nobody waits for is durable soon; what fills half of the budget is flushed."""
    with shardkv.open(tmp_path / "store", shards=2, unflushed_bytes=1 << 20) as store:
        ticket = store.submit(b"a", b"b")
        while not ticket.done():
            store.get(b"none")
        number = 0
        while not any(shard.flushes for shard in store.stats().shards):
            store.put(b"%d" % number, bytes(1000), ack="memory")
            number += 1
        assert number < 3000
