"""Backups that grow by the log, and copies that go on where an earlier attempt was."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

import shardkv
from shardkv.pacing import Pace
from shardkv.restoring import backup_closed

RETAINING = {"shards": 3, "retain_log_bytes": 1 << 30, "segment_bytes": (65536, 65536)}


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store", **getattr(request, "param", RETAINING)) as store:
        yield store


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def rows(path: Path) -> dict[bytes, bytes]:
    with shardkv.open(path, readonly=True) as store:
        return dict(store)


def write(store: shardkv.Store, count: int) -> None:
    """Puts, deletes and a batch: `count` records in all."""
    first = store.stats().seqno
    for n in range(first, first + count - 4):
        key = b"%d" % (n * 7 % 100)
        if n % 5 == 0 and key in store:
            store.delete(key, ack="memory")
        else:
            store.put(key, b"at %d" % n, ack="memory", ttl=10_000 if n % 3 else None)
    with store.batch() as batch:
        for n in range(4):
            batch.put(b"batch %d" % n, b"of %d" % first)


def await_beginning(store: shardkv.Store, seqno: int) -> None:
    """The log loop gives back what an open needs no more."""
    while store.stats().log.oldest_seqno != seqno:
        assert store.stats().log.oldest_seqno < seqno


def test_a_backup_grows_by_what_was_written_since(store: shardkv.Store, dest: Path) -> None:
    write(store, 300)
    store.flush()
    first = before = store.backup(dest)
    assert first.since is None
    for turn in range(6):
        write(store, 100)
        if turn % 2:
            store.flush()
        info = store.backup(dest)
        assert (info.since, info.seqno) == (before.seqno, store.stats().seqno)
        assert info.bytes < first.bytes
        before = info
        assert rows(dest) == dict(store)
        assert shardkv.check(dest).findings == ()


def test_an_increment_of_nothing_changes_nothing(store: shardkv.Store, dest: Path) -> None:
    write(store, 50)
    store.backup(dest)
    before = {path: path.read_bytes() for path in dest.rglob("*.log")}
    info = store.backup(dest)
    assert (info.since, info.bytes) == (info.seqno, 0)
    assert {path: path.read_bytes() for path in dest.rglob("*.log")} == before


def test_versions_and_expiries_are_those_of_the_original(store: shardkv.Store, dest: Path) -> None:
    write(store, 100)
    store.backup(dest)
    write(store, 100)
    store.backup(dest)
    with shardkv.open(dest, readonly=True) as copy:
        assert {key: copy.get_entry(key) for key in copy} == {
            key: store.get_entry(key) for key in store
        }


def test_every_seqno_since_the_first_copy_can_be_restored(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    """Of one sync for each record, so that frames end everywhere."""
    for n in range(20):
        store[b"%d" % n] = b"first"
    store.flush()
    first = store.backup(dest).seqno
    states = {first: dict(store)}
    for turn in range(4):
        for n in range(6):
            seqno = store.put(b"%d" % (turn + n), b"turn %d" % turn)
            states[seqno] = dict(store)
        del store[b"%d" % (10 + turn)]
        states[store.stats().seqno] = dict(store)
        store.flush()
        store.backup(dest)
    assert len(states) == 29
    for seqno, state in states.items():
        assert shardkv.restore(dest, tmp_path / "at", until=seqno).seqno == seqno
        assert rows(tmp_path / "at") == state, seqno
        shutil.rmtree(tmp_path / "at")
    with pytest.raises(shardkv.InvalidError, match=rf"after seqno {first} to {max(states)}"):
        shardkv.restore(dest, tmp_path / "at", until=first - 1)


def test_looking_at_a_backup_leaves_it_one_and_as_far_reaching(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    write(store, 50)
    first = store.backup(dest).seqno
    write(store, 50)
    store.backup(dest)
    for _ in range(3):
        with shardkv.open(dest, readonly=True) as copy:
            assert len(copy) == len(store)
        shardkv.check(dest)
    assert shardkv.restore(dest, tmp_path / "first", until=first).seqno == first
    write(store, 50)
    assert store.backup(dest).since == first + 50


def test_a_log_that_begins_right_behind_the_backup_is_enough(tmp_path: Path, dest: Path) -> None:
    """An open had let go of all that was flushed: the backup was refused for the want of records that it has."""
    path = tmp_path / "store"
    with shardkv.open(path, shards=3) as store:
        write(store, 50)
    with shardkv.open(path) as store:
        await_beginning(store, 51)
        assert store.backup(dest).since is None
        assert store.backup(dest).bytes == 0
        write(store, 50)
        assert store.backup(dest).since == 50
    assert backup_closed(path, dest).since == 100
    with shardkv.open(path) as store:
        await_beginning(store, 101)
        write(store, 50)
        kept = dict(store)
    assert backup_closed(path, dest).since == 100
    assert rows(dest) == kept
    assert shardkv.check(dest).findings == ()


@pytest.mark.parametrize("store", [{"retain_log_bytes": 1 << 30}], indirect=True)
def test_increments_share_segments(store: shardkv.Store, dest: Path, tmp_path: Path) -> None:
    """Each took one of its own, at least: after 3840 of them, or fewer large ones, a backup could not grow any more."""
    write(store, 50)
    store.backup(dest)
    states = {}
    for turn in range(60):
        seqno = store.put(b"small", b"%d" % turn)
        states[seqno] = dict(store)
        assert store.backup(dest).since == seqno - 1
    assert len(list(dest.glob("log/*.log"))) == 1
    for _ in range(20):
        for n in range(20):
            seqno = store.put(b"%d" % n, os.urandom(30_000))
        states[seqno] = dict(store)
        store.backup(dest)
    assert sum(path.stat().st_size for path in dest.glob("log/*.log")) < 20_000_000
    assert len(list(dest.glob("log/*.log"))) < 60
    assert shardkv.check(dest).findings == ()
    for seqno in [*states][::9]:
        assert shardkv.restore(dest, tmp_path / "at", until=seqno).seqno == seqno
        assert rows(tmp_path / "at") == states[seqno]
        shutil.rmtree(tmp_path / "at")


def test_damage_to_what_the_log_retains_for_readers_alone_refuses_no_backup(
    store: shardkv.Store, dest: Path
) -> None:
    """No copy needs it: it was read to know the backup by it."""
    write(store, 50)
    store.close()
    with shardkv.open(store.path) as again:
        assert again.stats().log.oldest_seqno == 1
        damage = Path(store.path, "log", "00000001.log")
        damage.write_bytes(damage.read_bytes()[:512] + bytes(damage.stat().st_size - 512))
        again.backup(dest)
        assert rows(dest) == dict(again)


# -- what is refused


def test_a_backup_that_was_opened_for_writing_is_none_any_more(
    store: shardkv.Store, dest: Path
) -> None:
    write(store, 50)
    store.backup(dest)
    with shardkv.open(dest):
        pass
    write(store, 50)
    with pytest.raises(shardkv.InvalidError, match="was written to since"):
        store.backup(dest)


def test_a_backup_of_another_store_is_refused(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    write(store, 50)
    store.backup(dest)
    before = rows(dest)
    with shardkv.open(tmp_path / "other", **RETAINING) as other:
        write(other, 80)
        with pytest.raises(shardkv.InvalidError, match="holds a store already"):
            other.backup(dest)
    assert rows(dest) == before
    assert store.backup(dest).since == 50


def test_a_log_that_does_not_reach_back_says_what_to_do(tmp_path: Path, dest: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=3, segment_bytes=(65536, 65536)) as store:
        write(store, 50)
        store.backup(dest)
        store.put(b"large", bytes(60000))
        store.flush()
        store.put(b"large", bytes(60000))
        store.flush()
        while store.stats().log.oldest_seqno <= 50:  # the log loop gives it back
            store.put(b"large", bytes(60000))
            store.flush()
        with pytest.raises(shardkv.LogGoneError, match="make a backup of all in another directory"):
            store.backup(dest)
        assert rows(dest).keys() < dict(store).keys()
        assert store.backup(tmp_path / "second").since is None


@pytest.mark.parametrize("further", [10, 50, 90])
def test_a_store_that_was_put_back_to_an_older_state_is_refused(
    tmp_path: Path, dest: Path, further: int
) -> None:
    """Its id is the same, and so are the seqnos that it gives again: to other records."""
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        write(store, 50)
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        write(store, 50)
        store.backup(dest)
        kept = dict(store)
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "older", tmp_path / "store")
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        for n in range(further):
            store[b"else %d" % n] = b"where"
        with pytest.raises(shardkv.InvalidError, match="put back to an older state"):
            store.backup(dest)
    assert rows(dest) == kept


@pytest.mark.parametrize("further", [0, 10])
def test_a_backup_of_a_store_that_was_put_back_is_known_by_more_than_one_record(
    tmp_path: Path, dest: Path, further: int
) -> None:
    """It went on to other values, then to the same record: the backup grew on, by another history."""
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        write(store, 50)
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    for path, value in [("store", b"before"), ("older", b"after")]:
        with shardkv.open(tmp_path / path, **RETAINING) as store:
            for n in range(20):
                store.put(b"%d" % n, value)
            store.put(b"last", b"the same")
            if value == b"before":
                kept = dict(store)
                store.backup(dest)
                continue
            for n in range(further):
                store.put(b"%d" % n, b"newer")
            with pytest.raises(shardkv.InvalidError, match="put back to an older state"):
                store.backup(dest)
    assert rows(dest) == kept


CRASH = """
import os, pathlib, shardkv, sys
path, dest = map(pathlib.Path, sys.argv[1:3])
store = shardkv.open(path, shards=3, retain_log_bytes=1 << 30)
store.put_many({b"%d" % n: os.urandom(1000) for n in range(50)})
store.backup(dest)
(path / "older").write_bytes((path / "log" / "MARK").read_bytes())
for turn in range(60):
    store.put_many({b"%d of %d" % (n, turn): os.urandom(1000) for n in range(400)})
store.backup(dest, progress=lambda done, total: done > int(sys.argv[3]) and os._exit(0))
os._exit(0)
"""


@pytest.mark.parametrize("ended", [0, 10_000_000, 1 << 60])
def test_a_backup_grows_on_when_an_open_wrote_the_newest_frames_again(
    tmp_path: Path, dest: Path, ended: int
) -> None:
    """After a crash, what no completed sync proves has another frame from then on, with the same records."""
    path = tmp_path / "store"
    subprocess.run([sys.executable, "-c", CRASH, path, dest, str(ended)], check=True)
    (path / "older").rename(path / "log" / "MARK")  # as if the newer one had not reached the disk
    with shardkv.open(path, **RETAINING) as store:
        assert store.stats().seqno == 50 + 60 * 400
        info = store.backup(dest)
        assert info.since is not None
        assert (info.since == info.seqno) == (ended == 1 << 60)
        write(store, 50)
        assert store.backup(dest).since == info.seqno
        assert rows(dest) == dict(store)
    assert shardkv.check(dest).findings == ()


def test_a_backup_in_use_or_damaged_is_told(store: shardkv.Store, dest: Path) -> None:
    write(store, 50)
    store.backup(dest)
    write(store, 50)
    with shardkv.open(dest, readonly=True), pytest.raises(shardkv.LockedError):
        store.backup(dest)
    origin = dest / "ORIGIN"
    image = origin.read_bytes()
    origin.write_bytes(image[:30] + bytes([image[30] ^ 1]) + image[31:])
    with pytest.raises(shardkv.CorruptionError, match="where this copy comes from"):
        store.backup(dest)
    assert [finding.file for finding in shardkv.check(dest).findings] == ["ORIGIN"]
    origin.write_bytes(image)
    assert store.backup(dest).since == 50


def test_an_increment_that_is_ended_early_leaves_a_backup(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    write(store, 50)
    store.backup(dest)
    states = {50: dict(store)}
    for n in range(200):
        seqno = store.put(b"%d" % n, bytes(1000))
        states[seqno] = dict(store)

    def stop(done: int, total: int) -> None:
        assert 0 < done <= total
        if done > 20_000:
            raise StopError

    with pytest.raises(StopError):
        store.backup(dest, progress=stop, max_bytes_per_s=100_000)
    shutil.copytree(dest, tmp_path / "as it is")
    with shardkv.open(tmp_path / "as it is") as copy:
        seqno = copy.stats().seqno
        assert 60 < seqno < 250
        assert dict(copy) == states[seqno]
    info = store.backup(dest)
    assert info.since == seqno
    assert rows(dest) == dict(store)


class StopError(Exception):
    """Raised by a progress callback."""


# -- going on with an unfinished copy


def stop_after(pieces: int) -> shardkv.backups.Progress:
    left = iter(range(pieces - 1))

    def progress(done: int, total: int) -> None:
        if next(left, None) is None:
            raise StopError

    return progress


def test_whole_shards_of_an_unfinished_copy_are_kept_and_the_rest_is_copied(
    store: shardkv.Store, dest: Path
) -> None:
    write(store, 300)
    store.flush()
    with pytest.raises(StopError):
        store.backup(dest, progress=stop_after(2))
    inodes = {path: path.stat().st_ino for path in dest.rglob("data.mdb")}
    write(store, 300)
    store.flush()
    write(store, 50)
    with pytest.raises(StopError):
        store.backup(dest, progress=stop_after(1))
    assert store.backup(dest).kept_shards == 3
    assert inodes.items() <= {path: path.stat().st_ino for path in dest.rglob("data.mdb")}.items()
    assert rows(dest) == dict(store)
    assert shardkv.check(dest).findings == ()
    write(store, 50)
    assert store.backup(dest).since == 650


def test_a_shard_that_the_log_does_not_reach_back_to_is_copied_again(
    tmp_path: Path, dest: Path
) -> None:
    with shardkv.open(tmp_path / "store", shards=3, segment_bytes=(65536, 65536)) as store:
        write(store, 300)
        store.flush()
        with pytest.raises(StopError):
            store.backup(dest, progress=stop_after(2))
        while store.stats().log.oldest_seqno <= 301:
            store.put(b"large", bytes(60000))
            store.flush()
        info = store.backup(dest)
        assert info.kept_shards == 0
        assert rows(dest) == dict(store)


def test_only_the_shards_that_the_log_does_not_reach_back_to_are_copied_again(
    tmp_path: Path, dest: Path
) -> None:
    options = {**RETAINING, "retain_log_bytes": 4 * 65536}
    with shardkv.open(tmp_path / "store", **options) as store:
        write(store, 300)
        store.flush()
        pieces = 0

        def progress(done: int, total: int) -> None:
            nonlocal pieces
            pieces += 1
            if pieces == 2:
                raise StopError
            for n in range(10):
                store.put(b"%d" % n, bytes(60000))
            store.flush()

        with pytest.raises(StopError):
            store.backup(dest, progress=progress)
        while store.stats().log.oldest_seqno <= 301:  # the log loop gives it back
            store.flush()
        store.put(b"5", b"last")
        assert store.stats().log.oldest_seqno <= 310
        assert store.backup(dest).kept_shards == 1
        assert rows(dest) == dict(store)


def test_an_unfinished_copy_of_a_store_that_was_put_back_is_begun_anew(
    tmp_path: Path, dest: Path
) -> None:
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        write(store, 50)
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        write(store, 50)
        store.flush()
        with pytest.raises(StopError):
            store.backup(dest, progress=stop_after(3))
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "older", tmp_path / "store")
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        for n in range(90):
            store[b"else %d" % n] = b"where"
        assert store.backup(dest).kept_shards == 0
        assert rows(dest) == dict(store)


def test_an_unfinished_copy_of_a_store_that_was_put_back_is_known_by_more_than_one_record(
    tmp_path: Path, dest: Path
) -> None:
    """It went on to other values, then to the same record: shards of the one were kept for the other."""
    with shardkv.open(tmp_path / "store", **RETAINING) as store:
        write(store, 50)
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    for path, value in [("store", b"before"), ("older", b"after")]:
        with shardkv.open(tmp_path / path, **RETAINING) as store:
            for n in range(20):
                store.put(b"%d" % n, value)
            store.put(b"last", b"the same")
            store.flush()
            if value == b"before":
                with pytest.raises(StopError):
                    store.backup(dest, progress=stop_after(3))
            else:
                assert store.backup(dest).kept_shards == 0
                assert rows(dest) == dict(store)


def test_an_unfinished_copy_of_another_store_is_begun_anew(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    write(store, 50)
    with pytest.raises(StopError):
        store.backup(dest, progress=stop_after(3))
    with shardkv.open(tmp_path / "other", **RETAINING) as other:
        write(other, 80)
        assert other.backup(dest).kept_shards == 0
        assert rows(dest) == dict(other)


def test_a_restore_never_goes_on_with_what_is_there(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    """It may go back to before what an unfinished copy has."""
    write(store, 50)
    store.flush()
    write(store, 10)
    store.close(flush=False)
    with shardkv.open(tmp_path / "store", **RETAINING) as again:
        write(again, 50)
        again.flush()
        with pytest.raises(StopError):
            again.backup(dest, progress=stop_after(3))
        kept = dict(again)
    shardkv.restore(tmp_path / "store", dest)
    assert rows(dest) == kept


# -- pace


def test_a_paced_copy_rests_as_long_as_its_bytes_ask_for(
    store: shardkv.Store, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    now = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("shardkv.backups.Pace", partial(Pace, clock=lambda: now[0], wait=sleep))
    for n in range(2000):
        store.put(b"%d" % n, os.urandom(500), ack="memory")
    store.flush()
    info = store.backup(dest, max_bytes_per_s=1_000_000)
    assert info.bytes > 1_000_000
    assert 0.8 * info.bytes < sum(slept) * 1_000_000 <= info.bytes
    assert max(slept) < 0.5
    assert all(later >= 0 for later in slept)
    assert rows(dest) == dict(store)


@pytest.mark.parametrize("rate", [0, -1, 1 << 60])
def test_a_pace_out_of_range_is_told_before_anything_is_made(
    store: shardkv.Store, dest: Path, rate: int
) -> None:
    with pytest.raises(shardkv.InvalidError, match="max_bytes_per_s"):
        store.backup(dest, max_bytes_per_s=rate)
    assert not dest.exists()


def state_at(history: list[shardkv.Change], seqno: int) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for change in history[:seqno]:
        state.pop(change.key, None)
        if change.value is not None:
            state[change.key] = change.value
    return state


def test_a_copy_in_small_pieces_beside_flushes_is_whole(
    store: shardkv.Store, dest: Path, tmp_path: Path
) -> None:
    """Keys come, change and go between two pieces of the same shard, and move to the other side of what was copied."""
    for n in range(1000):
        store.put(b"%04d" % n, b"old", ack="memory")
    store.flush()
    turn = 0

    def disturb(done: int, total: int) -> None:
        nonlocal turn
        turn += 1
        store.delete(b"%04d" % (turn * 37 % 1000), ack="memory")
        store.put(b"%04d" % (turn * 101 % 2000), b"new %d" % turn, ack="memory")
        store.flush()

    info = store.backup(dest, progress=disturb, max_bytes_per_s=1 << 14)
    assert turn > 10
    history = list(store.changes(since=0))
    assert all(one.seqno + 1 == two.seqno for one, two in pairwise(history))
    assert shardkv.check(dest).findings == ()
    assert rows(dest) == state_at(history, info.seqno)
    with pytest.raises(shardkv.InvalidError) as caught:
        shardkv.restore(dest, tmp_path / "at", until=1)
    least = int(re.findall(r"after seqno (\d+)", str(caught.value))[0])
    assert 1000 < least <= info.seqno
    for until in range(least, info.seqno + 1):
        seqno = shardkv.restore(dest, tmp_path / f"{until}", until=until).seqno
        assert rows(tmp_path / f"{until}") == state_at(history, seqno)
