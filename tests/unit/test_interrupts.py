"""Ctrl-C, and no more threads, in the midst of opening, closing and copying: the directory is free afterwards.

Python raises a Ctrl-C that came during a call into C as that returns, before what it returned is kept anywhere. So a
store whose opening was interrupted while it replayed was nobody's, and locked until the process ended.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv import workers
from shardkv._native import Engine
from shardkv.workers import Workers

NAMES = ["shardkv-sync", "shardkv-log", "shardkv-flush"]
REPLAY = "shardkv-replay"


def strike(*calls: str) -> None:
    """Let a Ctrl-C come during the next call of one of these, in this thread."""

    def look(_frame: Any, event: str, called: Any) -> None:
        if event == "c_return" and called.__name__ in calls:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)


def strike_at(place: int) -> None:
    """Let a Ctrl-C come at so manieth return from C, in this thread."""
    left = [place]

    def look(_frame: Any, event: str, _called: Any) -> None:
        left[0] -= event == "c_return"
        if not left[0]:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name in (*NAMES, REPLAY)}


def reopen(path: Path) -> None:
    with shardkv.open(path) as store:
        store.put(b"again", b"open")
        assert store[b"again"] == b"open"


def test_an_opening_that_is_interrupted_leaves_the_directory_free(tmp_path: Path) -> None:
    strike("skv_open")
    with pytest.raises(KeyboardInterrupt):
        shardkv.open(tmp_path / "store")
    reopen(tmp_path / "store")


@pytest.mark.parametrize("failing", [REPLAY, *NAMES])
@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()])
def test_an_opening_without_its_threads_leaves_the_directory_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    """The threads that were there already ran on in a store that nobody could stop."""
    start, before = threading.Thread.start, threads()

    def starting(thread: threading.Thread) -> None:
        if thread.name == failing and isinstance(error, RuntimeError):
            raise error
        start(thread)
        if thread.name == failing:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", starting)
        with pytest.raises((shardkv.OutOfMemoryError, KeyboardInterrupt)):
            shardkv.open(tmp_path / "store")
    assert threads() <= before
    reopen(tmp_path / "store")


@pytest.mark.parametrize("owner", [Engine, Workers], ids=["Engine", "Workers"])
@pytest.mark.parametrize("step", ["stop", "join", "close"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_close_that_is_interrupted_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type[Any], step: str, when: str
) -> None:
    if not hasattr(owner, step):
        return
    taken, struck = getattr(owner, step), []

    def interrupted(it: Any) -> None:
        first = not struck
        struck.append(step)
        if first and when == "before":
            raise KeyboardInterrupt
        taken(it)
        if first:
            raise KeyboardInterrupt

    others, store = threads(), shardkv.open(tmp_path / "store")
    mine = threads() - others
    store.put(b"kept", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.close()
    assert len(mine) == 3
    assert not mine & threads()
    reopen(tmp_path / "store")


def test_threads_are_waited_for_however_often_ctrl_c_is_pressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three, pressed for each, the last was not waited for, and went on in memory that was given back."""
    join, run, struck = threading.Thread.join, workers.run, []
    leave = {name: threading.Event() for name in NAMES}

    def lingering(*loop: Any) -> None:
        run(*loop)
        leave[threading.current_thread().name].wait(60)

    def joining(thread: threading.Thread, timeout: float | None = None) -> None:
        if struck.count(thread) < 2:
            struck.append(thread)
            raise KeyboardInterrupt
        leave[thread.name].set()
        join(thread, timeout)

    monkeypatch.setattr(workers, "run", lingering)
    others, store = threads(), shardkv.open(tmp_path / "store")
    mine = threads() - others
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", joining)
        with pytest.raises(KeyboardInterrupt):
            store.close()
    monkeypatch.undo()
    assert {*struck} == mine
    assert not any(thread.is_alive() for thread in mine)
    reopen(tmp_path / "store")


def test_a_backup_that_is_interrupted_as_it_begins_can_be_begun_again(
    store: shardkv.Store, tmp_path: Path
) -> None:
    store.put(b"a", b"b")
    strike("skv_backup_open", "extend")
    with pytest.raises(KeyboardInterrupt):
        store.backup(tmp_path / "backup")
    assert store.backup(tmp_path / "backup").seqno == 1


def lock(store: shardkv.Store) -> None:
    key_lock = store.locks([b"a", b"b"])
    key_lock.__enter__()
    sys.setprofile(None)
    key_lock.__exit__(None, None, None)


def get_or_set(store: shardkv.Store) -> None:
    store.get_or_set(b"made", lambda: b"value")


def transaction(store: shardkv.Store) -> None:
    with store.transaction() as t:
        t.get(b"made")


def snapshot(store: shardkv.Store) -> None:
    store.snapshot().close()


@pytest.mark.parametrize("call", [lock, get_or_set, transaction, snapshot])
def test_a_call_that_is_interrupted_anywhere_holds_nothing(store: shardkv.Store, call: Any) -> None:
    """A lock, the making of a value and a transaction were somebody's for ever, a snapshot kept disk space."""
    finished, place, shared = False, 0, store._shared
    while not finished:
        place += 1
        store.delete(b"made")
        strike_at(place)
        try:
            call(store)
            finished = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        held = shared.stripes.held(), shared.transactions, shared.flights._flights
        assert not any(held), f"after a Ctrl-C at place {place}"
        assert not store.stats().snapshots, f"after a Ctrl-C at place {place}"
    assert place > 5
