"""One engine for each directory, however often and however it is opened."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import shardkv


@pytest.fixture
def store(tmp_path: Path) -> Iterator[shardkv.Store]:
    with shardkv.open(tmp_path / "store") as store:
        yield store


def break_log(path: Path) -> None:
    """Put something that cannot be written in the place of each log file's descriptor."""
    unwritable = os.open("/dev/null", os.O_RDONLY)
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith(f"{path}/log/"):
            os.dup2(unwritable, int(number))
    os.close(unwritable)


def test_the_same_directory_by_another_name_shares_the_engine(
    store: shardkv.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    for name in ("link", "store", "./store/../link", tmp_path / "link", "link/."):
        with shardkv.open(name) as other:
            other.put(b"name", os.fsencode(name))
            assert store[b"name"] == os.fsencode(name)
    assert store[b"name"] == b"link/."


def test_the_engine_closes_with_its_last_store(tmp_path: Path) -> None:
    first, second = shardkv.open(tmp_path / "store"), shardkv.open(tmp_path / "store")
    first.close()
    with pytest.raises(shardkv.ClosedError):
        first.put(b"a", b"b")
    second.put(b"a", b"b")
    second.close()
    with shardkv.open(tmp_path / "store") as third:
        assert third[b"a"] == b"b"


@pytest.mark.parametrize(
    "options",
    [
        {"shards": 8},
        {"shards": 8, "weights": [1] * 8},
        {"unflushed_bytes": 256 << 20},
        {"segment_bytes": (4 << 20, 16 << 20)},
        {"create": False},
        {"write_timeout": 1, "ack": "memory"},
    ],
    ids=str,
)
def test_options_that_say_what_is_so_are_no_contradiction(
    store: shardkv.Store, options: dict
) -> None:
    """Naming a default once was refused, because it was compared with what had not been named."""
    with shardkv.open(store.path, **options) as other:
        other.put(b"a", b"b")
    assert store[b"a"] == b"b"


@pytest.mark.parametrize(
    "options",
    [
        {"shards": 9},
        {"shards": 8, "weights": [2] + [1] * 7},
        {"unflushed_bytes": 1 << 20},
        {"readonly": True},
        {"segment_bytes": (65536, 65536)},
    ],
    ids=str,
)
def test_options_that_contradict_an_open_store_are_named(
    store: shardkv.Store, options: dict
) -> None:
    with pytest.raises(shardkv.InvalidError, match=list(options)[-1]):
        shardkv.open(store.path, **options)
    store.put(b"still", b"open")


def test_a_store_goes_through_pickle_as_its_path_and_options(store: shardkv.Store) -> None:
    with pickle.loads(pickle.dumps(store)) as other:
        other.put(b"a", b"b")
        assert other.path == store.path
    assert store[b"a"] == b"b"


def test_a_pickle_opens_a_closed_store_again(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", ack="memory", unflushed_bytes=1 << 20) as store:
        store.put(b"a", b"b")
        pickled = pickle.dumps(store)
    with pickle.loads(pickled) as again:
        assert again[b"a"] == b"b"


def test_a_pickle_makes_no_store_where_there_is_none(tmp_path: Path) -> None:
    """A directory that was gone by then was an empty store, without a word."""
    with shardkv.open(tmp_path / "store") as store:
        pickled = pickle.dumps(store)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(shardkv.InvalidError):
        pickle.loads(pickled)
    assert not (tmp_path / "store").exists()


def test_a_poisoned_store_can_be_closed_and_opened_again(tmp_path: Path) -> None:
    """Closing raises, as it should; the dead engine once stayed behind and every later open shared it."""
    store = shardkv.open(tmp_path / "store")
    store.put(b"kept", b"1")
    break_log(tmp_path / "store")
    for _ in range(2):
        with pytest.raises(shardkv.PoisonedError, match="unknown"):
            store.put(b"unknown", b"2")
    assert store[b"kept"] == b"1"
    with pytest.raises(shardkv.PoisonedError):
        store.close()
    with shardkv.open(tmp_path / "store") as again:
        assert again[b"kept"] == b"1"
        again.put(b"after", b"3")


def test_a_store_that_failed_to_open_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(shardkv.Error, match="none"):
        shardkv.open(tmp_path / "none", create=False)
    with shardkv.open(tmp_path / "none") as store:
        store.put(b"a", b"b")
