"""get_or_set: one thread makes a missing value, the others wait for it; a failure is nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from stress.traffic import together

import shardkv

THREADS = 8


class Boom(RuntimeError):
    """What a function that makes a value raises."""


def wait_until(true: Callable[[], bool]) -> None:
    """Spin until it is so; the test's time limit is the limit."""
    pause = threading.Event()
    while not true():
        pause.wait(0.001)


def waiters(store: shardkv.Store, key: bytes) -> int:
    flight = store._shared.flights._flights.get(key)
    return len(flight.waiters) if flight else 0


def test_a_missing_value_is_made_and_stored(store: shardkv.Store) -> None:
    assert store.get_or_set(b"key", lambda: b"made") == b"made"
    assert store.get_or_set(b"key", lambda: b"other") == b"made"
    assert store[b"key"] == b"made"
    assert store.get_or_set(b"empty", lambda: b"") == b""
    assert store.get_or_set(b"empty", lambda: b"other") == b""
    assert store.get_or_set(b"kind", lambda: bytearray(b"x")) == b"x"
    entry = store.get_entry(b"key")
    assert entry is not None
    assert entry.expires_at is None


def test_what_is_made_can_expire(store: shardkv.Store) -> None:
    store.get_or_set(b"key", lambda: b"made", ttl=60)
    assert 50 < (store.ttl(b"key") or 0) <= 60


def test_of_many_threads_one_makes_the_value(store: shardkv.Store) -> None:
    calls = []

    def make() -> bytes:
        calls.append(threading.get_ident())
        wait_until(lambda: waiters(store, b"key") == THREADS - 1)
        return b"%d" % len(calls)

    got: list[bytes] = []
    together(THREADS, lambda number: got.append(store.get_or_set(b"key", make)))
    assert got == [b"1"] * THREADS
    assert len(calls) == 1
    assert store._shared.flights._flights == store._shared.flights._waiting == {}


def test_a_failure_wakes_one_who_tries_itself(store: shardkv.Store) -> None:
    """The first two who try fail; the third's value goes to all who are left, and to nobody before."""
    calls: list[int] = []
    outcomes: list[bytes | str] = []

    def make() -> bytes:
        calls.append(1)
        if len(calls) == 1:
            wait_until(lambda: waiters(store, b"key") == THREADS - 1)
        if len(calls) < 3:
            raise Boom(str(len(calls)))
        return b"third"

    def work(number: int) -> None:
        try:
            outcomes.append(store.get_or_set(b"key", make))
        except Boom as error:
            outcomes.append(str(error))

    together(THREADS, work)
    assert len(calls) == 3
    assert outcomes.count(b"third") == THREADS - 2
    assert {"1", "2"} <= {*outcomes}
    assert store._shared.flights._flights == store._shared.flights._waiting == {}


def test_other_keys_go_on_while_a_value_is_made(store: shardkv.Store) -> None:
    def make() -> bytes:
        together(2, lambda number: store.get_or_set(b"other%d" % number, lambda: b"x") and None)
        store.put(b"plain", b"y")
        return store.get_or_set(b"nested", lambda: b"inner")

    assert store.get_or_set(b"key", make) == b"inner"
    assert len(store) == 5


def test_a_function_that_asks_for_its_own_key_is_an_error(store: shardkv.Store) -> None:
    def again() -> bytes:
        return store.get_or_set(b"key", lambda: b"never")

    with pytest.raises(shardkv.LockOwnerError, match="wait for itself"):
        store.get_or_set(b"key", again)
    assert b"key" not in store
    assert store.get_or_set(b"key", lambda: b"made") == b"made"


def test_two_threads_that_would_wait_for_each_other_are_told(store: shardkv.Store) -> None:
    keys = [b"a", b"b"]
    gate = threading.Barrier(2)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        def inner() -> bytes:
            gate.wait()
            return store.get_or_set(keys[1 - number], lambda: b"inner %d" % number)

        try:
            store.get_or_set(keys[number], inner)
        except shardkv.LockOwnerError as error:
            errors.append(error)

    together(2, work)
    assert len(errors) == 1
    assert b"a" in store
    assert b"b" in store


def test_what_was_stored_meanwhile_wins(store: shardkv.Store) -> None:
    def make() -> bytes:
        store.put(b"key", b"put")
        return b"made"

    assert store.get_or_set(b"key", make) == b"put"
    assert store[b"key"] == b"put"


@pytest.mark.parametrize("made", [None, "str", 1])
def test_a_value_that_is_no_bytes_is_refused(store: shardkv.Store, made: object) -> None:
    with pytest.raises(TypeError, match="value"):
        store.get_or_set(b"key", lambda: made)  # type: ignore[arg-type, return-value]
    assert store.stats().seqno == 0


def test_all_who_have_the_store_open_share_a_flight(tmp_path: Path, store: shardkv.Store) -> None:
    with shardkv.open(store.path) as other:

        def make() -> bytes:
            wait_until(lambda: waiters(other, b"key") == 1)
            return b"made"

        got: list[bytes] = []
        together(2, lambda n: got.append((store, other)[n].get_or_set(b"key", make)))
        assert got == [b"made", b"made"]


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    store.close()
    with pytest.raises(shardkv.ClosedError):
        store.get_or_set(b"key", lambda: b"made")


def test_a_finalizer_may_make_a_value_anywhere(store: shardkv.Store) -> None:
    with store._shared.flights._guard:  # where the collector may run
        assert store.get_or_set(b"key", lambda: b"made") == b"made"


def test_of_many_threads_one_sets_the_default(store: shardkv.Store) -> None:
    """It was read, then put: who came in between was overwritten, and had been told that his was there."""
    for turn in range(50):
        got: list[bytes] = []
        key = b"%d" % turn
        together(
            THREADS,
            lambda number, key=key, got=got: got.append(store.setdefault(key, b"%d" % number)),
        )
        assert set(got) == {store[key]}
