"""Key locks: who gets them, in which order, and what is left behind by those who do not."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shardkv


def numbers(store: shardkv.Store, *keys: bytes) -> list[int]:
    return [store._shared.stripes.number_of(key) for key in keys]


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do; the suite's own time limit ends it."""
    while not true():
        threading.Event().wait(0.001)


def in_line(store: shardkv.Store, key: bytes = b"k") -> int:
    waiting: int = store._shared.stripes.waiting(*numbers(store, key))
    return waiting


def nothing_is_left(store: shardkv.Store) -> bool:
    return store._shared.stripes.held() == 0


class Threads:
    """Threads that are joined at the end, and whose failures are not lost."""

    def __init__(self) -> None:
        self.failed: list[BaseException] = []
        self.all: list[threading.Thread] = []

    def start(self, work: Callable[..., Any], *args: Any) -> None:
        def run() -> None:
            try:
                work(*args)
            except (shardkv.Error, AssertionError) as error:
                self.failed.append(error)

        self.all.append(threading.Thread(target=run))
        self.all[-1].start()

    def join(self) -> None:
        for thread in self.all:
            thread.join()
        assert self.failed == []


def elsewhere(work: Callable[[], Any]) -> list[Any]:
    """Run in another thread; return what it returned, or the error that it raised."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(work())
        except shardkv.Error as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result


def try_lock(store: shardkv.Store, *keys: bytes) -> bool:
    """Say whether another thread gets the locks without waiting."""

    def attempt() -> bool:
        with store.locks(keys, timeout=0):
            return True

    return elsewhere(attempt) == [True]


def test_a_lock_is_held_inside_the_block_and_nowhere_else(store: shardkv.Store) -> None:
    with store.lock(b"k") as lock:
        assert not try_lock(store, b"k")
        assert "KeyLock" in repr(lock)
    assert try_lock(store, b"k")
    assert nothing_is_left(store)


def test_a_block_that_raises_gives_its_lock_back(store: shardkv.Store) -> None:
    with pytest.raises(KeyError), store.lock(b"k"):
        raise KeyError
    assert nothing_is_left(store)


def test_who_holds_a_lock_may_take_it_again(store: shardkv.Store) -> None:
    with store.lock(b"k"), store.lock(b"k"), store.locks([b"j", b"k"]):
        assert not try_lock(store, b"k")
    assert try_lock(store, b"k")
    lock = store.lock(b"k")
    lock.acquire()
    lock.acquire()
    lock.release()
    assert not try_lock(store, b"k")
    lock.release()
    assert try_lock(store, b"k")


def test_grants_follow_the_order_of_arrival(store: shardkv.Store) -> None:
    order: list[int] = []

    def work(n: int) -> None:
        with store.lock(b"k"):
            order.append(n)

    threads = Threads()
    with store.lock(b"k"):
        for n in range(20):
            threads.start(work, n)
            until(lambda n=n: in_line(store) == n + 1)  # type: ignore[misc]
    threads.join()
    assert order == list(range(20))
    assert nothing_is_left(store)


def test_nobody_overtakes_the_first_in_line(store: shardkv.Store) -> None:
    """Handed over, not set free: not even the one who let go gets it back before."""
    got, go = threading.Event(), threading.Event()

    def work() -> None:
        with store.lock(b"k"):
            got.set()
            go.wait()

    threads = Threads()
    lock = store.lock(b"k", timeout=0)
    lock.acquire()
    threads.start(work)
    until(lambda: in_line(store) == 1)
    lock.release()
    with pytest.raises(shardkv.LockTimeoutError):
        lock.acquire()
    got.wait()
    go.set()
    threads.join()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_timeout_leaves_no_trace(store: shardkv.Store, timeout: float) -> None:
    with store.lock(b"k"):
        (error,) = elsewhere(store.lock(b"k", timeout=timeout).acquire)
        assert isinstance(error, shardkv.LockTimeoutError)
        assert isinstance(error, TimeoutError)
        assert str(float(timeout)) in str(error)
        assert in_line(store) == 0
    assert nothing_is_left(store)


def test_the_first_in_line_that_gives_up_does_not_hold_up_the_second(store: shardkv.Store) -> None:
    got, patient = threading.Event(), Threads()

    def work() -> None:
        with store.lock(b"k"):
            got.set()

    with store.lock(b"k"):
        impatient = Threads()
        impatient.start(store.lock(b"k", timeout=0.05).acquire)
        until(lambda: in_line(store) == 1 or bool(impatient.failed))
        patient.start(work)
        until(lambda: in_line(store) == 1 and bool(impatient.failed))
    patient.join()
    assert got.is_set()
    assert nothing_is_left(store)


def test_several_keys_are_locked_all_or_none(store: shardkv.Store) -> None:
    a, b = numbers(store, b"a", b"b")
    assert a != b
    with store.lock(b"b"):
        assert not try_lock(store, b"a", b"b")
        assert try_lock(store, b"a")
    with store.locks([b"b", b"a", b"b"]):
        assert not try_lock(store, b"a")
        assert not try_lock(store, b"b")
    with store.locks([]):
        assert nothing_is_left(store)
    assert nothing_is_left(store)


def test_opposite_orders_of_keys_do_not_wait_for_each_other(store: shardkv.Store) -> None:
    """Taken in the order given, two such threads soon held one lock each and wanted the other."""
    rounds, threads = 2000, Threads()
    meet = threading.Barrier(2)
    assert len(set(numbers(store, b"a", b"b", b"c"))) == 3

    def work(keys: list[bytes]) -> None:
        meet.wait()
        for _ in range(rounds):
            with store.locks(keys, timeout=60):
                pass

    threads.start(work, [b"a", b"b", b"c"])
    threads.start(work, [b"c", b"b", b"a"])
    threads.join()
    assert nothing_is_left(store)


def test_a_counter_that_is_read_and_written_under_its_lock_loses_nothing(
    store: shardkv.Store,
) -> None:
    threads = Threads()
    store.put(b"n", b"0")

    def work() -> None:
        for _ in range(50):
            with store.lock(b"n"):
                store.put(b"n", b"%d" % (int(store[b"n"]) + 1), ack="memory")

    for _ in range(8):
        threads.start(work)
    threads.join()
    assert store[b"n"] == b"400"


def test_a_put_under_a_held_lock_goes_on(store: shardkv.Store) -> None:
    with store.lock(b"k"):
        assert elsewhere(lambda: store.put(b"k", b"other")) == [1]
        store.put(b"k", b"mine")
        assert elsewhere(lambda: store.pop(b"k")) == [b"mine"]


def test_only_its_holder_releases_a_lock(store: shardkv.Store) -> None:
    lock = store.lock(b"k")
    with pytest.raises(shardkv.LockOwnerError, match="nobody holds"):
        lock.release()
    with lock:
        (error,) = elsewhere(lock.release)
        assert isinstance(error, shardkv.LockOwnerError)
        assert "MainThread" in str(error)
        assert not try_lock(store, b"k")
    with pytest.raises(shardkv.LockOwnerError):
        lock.release()


def test_a_release_of_several_keys_is_all_or_none(store: shardkv.Store) -> None:
    both = store.locks([b"a", b"b"])
    with store.lock(b"a"):
        with pytest.raises(shardkv.LockOwnerError):
            both.release()
        assert not try_lock(store, b"a")
    with store.lock(b"b"):
        with pytest.raises(shardkv.LockOwnerError):
            both.release()
        assert not try_lock(store, b"b")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A shell's background job ignores Ctrl-C, and whoever it starts inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_wait_and_leaves_no_trace(store: shardkv.Store) -> None:
    held, go = threading.Event(), threading.Event()

    def holder() -> None:
        with store.lock(b"k"):
            held.set()
            until(lambda: in_line(store) == 1)
            os.kill(os.getpid(), signal.SIGINT)
            go.wait()

    threads = Threads()
    threads.start(holder)
    held.wait()
    with pytest.raises(KeyboardInterrupt):
        store.lock(b"k").acquire()
    assert in_line(store) == 0
    go.set()
    threads.join()
    assert nothing_is_left(store)


def test_all_that_have_a_directory_open_share_its_locks(store: shardkv.Store) -> None:
    with shardkv.open(store.path) as other, store.lock(b"k"):
        assert not try_lock(other, b"k")
        with other.lock(b"k", timeout=0):  # the same thread, through another handle
            pass
    assert nothing_is_left(store)


def test_stores_of_two_directories_share_none(store: shardkv.Store, tmp_path: Any) -> None:
    with shardkv.open(tmp_path / "other") as other, store.lock(b"k"):
        assert try_lock(other, b"k")


def test_the_number_of_stripes_is_an_option_of_the_process(tmp_path: Any) -> None:
    with shardkv.open(tmp_path / "one", lock_stripes=1) as store:
        with store.lock(b"a"):
            assert not try_lock(store, b"b")
        with pytest.raises(shardkv.InvalidError, match="lock_stripes"):
            shardkv.open(tmp_path / "one", lock_stripes=2)
        shardkv.open(tmp_path / "one").close()
    with shardkv.open(tmp_path / "one") as store:
        assert store._shared.stripes.count == 1024
        with store.lock(b"a"):
            assert try_lock(store, b"b")


@pytest.mark.parametrize("key", ["k", 1, None, 1.5, [b"k"]])
def test_a_key_that_is_no_bytes_is_refused(store: shardkv.Store, key: Any) -> None:
    with pytest.raises(TypeError):
        store.lock(key)
    with pytest.raises(TypeError):
        store.locks([b"a", key])
    with pytest.raises(TypeError):
        store.locks(b"abc")  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e9])
def test_a_timeout_out_of_range_is_refused(store: shardkv.Store, timeout: float) -> None:
    with pytest.raises(shardkv.InvalidError, match="timeout is"):
        store.lock(b"k", timeout=timeout)


@pytest.mark.parametrize("timeout", ["1", True, b"1", [1]])
def test_a_timeout_that_is_no_number_is_refused(store: shardkv.Store, timeout: Any) -> None:
    with pytest.raises(TypeError, match="timeout must be"):
        store.lock(b"k", timeout=timeout)


def test_a_closed_store_grants_no_locks_but_takes_them_back(tmp_path: Any) -> None:
    store = shardkv.open(tmp_path / "store")
    lock = store.lock(b"k")
    with lock:
        store.close()
    with pytest.raises(shardkv.ClosedError):
        lock.acquire()
    with pytest.raises(shardkv.ClosedError):
        asyncio.run(lock.acquire_async())
    with pytest.raises(shardkv.ClosedError):
        store.lock(b"k")


def test_a_forked_child_gets_no_lock_and_may_leave_the_block(store: shardkv.Store) -> None:
    lock = store.lock(b"k")
    child = 0
    with store.lock(b"held"):
        child = os.fork()
        if child == 0:
            try:
                lock.acquire()
            except shardkv.ForkedError:
                store._shared.stripes.give(numbers(store, b"held"), threading.current_thread())
                os._exit(7)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_the_collector_may_give_a_lock_back_anywhere(store: shardkv.Store) -> None:
    """A generator that held one, and was collected while its thread took another, stood still for ever."""

    def holding() -> Iterator[None]:
        with store.lock(b"held"):
            yield

    rows = holding()
    next(rows)
    with store._shared.stripes._guard:  # where the collector may run
        del rows
    assert store._shared.stripes.held() == 0


def test_a_block_that_another_thread_ends_gives_its_lock_back(store: shardkv.Store) -> None:
    """A generator that held one, and was closed elsewhere, left it locked for ever."""

    def holding() -> Iterator[None]:
        with store.locks([b"held", b"too"]):
            yield

    rows = holding()
    next(rows)
    thread = threading.Thread(target=rows.close)
    thread.start()
    thread.join()
    assert store._shared.stripes.held() == 0


def test_a_block_that_gave_its_lock_back_itself_takes_none_from_others(
    store: shardkv.Store,
) -> None:
    lock = store.lock(b"shared")
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    lock.__enter__()
    lock.release()
    thread.start()
    assert inside.wait(30)
    with pytest.raises(shardkv.LockOwnerError):
        lock.__exit__(None, None, None)
    assert store._shared.stripes.held() == 1
    with pytest.raises(shardkv.LockOwnerError):
        lock.release()
    leave.set()
    thread.join()
    assert store._shared.stripes.held() == 0
    assert not lock._inside
