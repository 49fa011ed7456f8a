"""Leases: one holder at a time, tokens that only grow, an end by the clock of the store, clear words for the late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest

import shardkv
from shardkv import leases
from shardkv.grants import LEASES
from shardkv.leases import Returns

HOUR_MS = 3_600_000


def test_a_lease_has_one_holder_and_a_token_that_grows(store: shardkv.Store) -> None:
    with store.lease("job", 30) as lease:
        assert (lease.name, lease.token) == ("job", 1)
        assert lease.held()
        with pytest.raises(shardkv.LockTimeoutError, match=r"somebody else has the lease 'job'"):
            store.lease("job", 30)
        assert store.lease("other", 30).token == 1
    assert not lease.held()
    assert [store.lease("job", 30, timeout=0).token, store.lease("third", 1).token] == [2, 1]
    assert repr(lease) == "<shardkv.Lease 'job' token=1>"


def test_a_lease_ends_by_the_clock_of_the_store(store: shardkv.Store) -> None:
    lease = store.lease("job", 3600)
    now = store._engine.clock_ms() / 1000
    assert now < lease.expires_at <= now + 3600
    store._engine.shift_clock(HOUR_MS - 60_000)
    assert lease.held()
    with pytest.raises(shardkv.LockTimeoutError):
        store.lease("job", 1)
    store._engine.shift_clock(HOUR_MS)
    assert not lease.held()
    again = store.lease("job", 3600)
    assert again.token == 2
    store._engine.shift_clock(-HOUR_MS)  # the machine's clock jumps back; the store's does not
    assert again.held()
    assert not lease.held()
    for call in (lease.renew, lease.release):
        with pytest.raises(shardkv.LeaseLostError, match="token 1 was lost: token 2 was granted"):
            call()
    assert again.held()


def test_who_comes_too_late_is_told_even_when_nobody_took_it(store: shardkv.Store) -> None:
    lease = store.lease("job", 3600)
    store._engine.shift_clock(HOUR_MS)
    for call in (lease.renew, lease.release):
        with pytest.raises(shardkv.LeaseLostError, match="token 1 expired"):
            call()


def test_renewing_moves_the_end_and_keeps_the_token(store: shardkv.Store) -> None:
    lease = store.lease("job", 3600)
    first = lease.expires_at
    store._engine.shift_clock(HOUR_MS // 2)
    assert lease.renew() == lease.expires_at >= first + 1700
    assert lease.renew(7200) >= first + 5300
    store._engine.shift_clock(2 * HOUR_MS)
    assert lease.held()
    assert lease.renew(1) < lease.expires_at + 1
    store._engine.shift_clock(2 * HOUR_MS + 60_000)
    assert not lease.held()
    assert store.lease("job", 1).token == 2


def test_a_released_lease_is_over(store: shardkv.Store) -> None:
    lease = store.lease("job", 30)
    lease.release()
    for call in (lease.renew, lease.release):
        with pytest.raises(shardkv.LeaseLostError, match="token 1 was released"):
            call()
    with store.lease("job", 30) as inside:
        inside.release()
    assert store.lease("job", 30).token == 3


def test_a_block_that_outlived_its_lease_is_told(store: shardkv.Store) -> None:
    with pytest.raises(shardkv.LeaseLostError, match="expired"), store.lease("job", 3600):
        store._engine.shift_clock(HOUR_MS)
    with suppress(KeyError), store.lease("job", 3600):
        store._engine.shift_clock(3 * HOUR_MS)
        raise KeyError


def test_leases_outlive_the_store_that_granted_them(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", ack="memory") as store:
        lease = store.lease("job", 3600)
        store.lease("done", 3600).release()
        assert store.stats().durable_seqno == store.stats().seqno
    with pytest.raises(shardkv.ClosedError):
        lease.renew()
    for _ in range(2):
        with shardkv.open(tmp_path / "store") as store:
            with pytest.raises(shardkv.LockTimeoutError):
                store.lease("job", 30)
            store.flush()
    with shardkv.open(tmp_path / "store") as store:
        assert store.lease("done", 3600).token == 2
        store._engine.shift_clock(HOUR_MS)
        assert store.lease("job", 3600).token == 2
    with shardkv.open(tmp_path / "store") as store, pytest.raises(shardkv.LockTimeoutError):
        store.lease("job", 30)


def test_what_a_lease_writes_is_synced_whatever_the_store_does(tmp_path: Path) -> None:
    """A token that a power cut takes back would be granted twice."""
    with shardkv.open(tmp_path / "store", ack="memory") as store:
        inner, acks = store._inner(), []
        cas = inner.cas

        def noted(*args: Any, **rest: Any) -> bool:
            acks.append(rest.get("ack"))
            return cas(*args, **rest)

        inner.cas = noted  # type: ignore[method-assign]
        with store.lease("job", 30) as lease:
            lease.renew()
        assert acks == ["disk"] * 3


def test_all_handles_of_a_directory_share_its_leases(store: shardkv.Store) -> None:
    with shardkv.open(store.path) as other:
        lease = store.lease("job", 30)
        with pytest.raises(shardkv.LockTimeoutError):
            other.lease("job", 30)
        lease.release()
        assert other.lease("job", 30).token == 2


def waiting(store: shardkv.Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Let a thread wait for a lease; return what joins it, once it waits."""
    waits, wait = threading.Event(), Returns.wait

    def noted(self: Returns, seen: int, timeout: float) -> None:
        waits.set()
        wait(self, seen, timeout)

    monkeypatch.setattr(Returns, "wait", noted)
    got: list[int] = []
    waiter = threading.Thread(target=lambda: got.append(store.lease("job", 1, timeout=None).token))
    waiter.start()
    waits.wait()

    def join() -> list[int]:
        waiter.join()
        return got

    return join


def test_who_waits_is_woken_when_it_is_released(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SLICE_S", 1000)
    lease = store.lease("job", 3600)
    join = waiting(store, monkeypatch)
    lease.release()
    assert join() == [2]


def test_who_waits_gets_it_when_it_expires(
    store: shardkv.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.lease("job", 0.05)
    assert store.lease("job", 3600, timeout=None).token == 2
    join = waiting(store, monkeypatch)
    store._engine.shift_clock(HOUR_MS)
    assert join() == [3]


def test_who_waits_in_vain_is_told(store: shardkv.Store) -> None:
    store.lease("job", 3600)
    with pytest.raises(shardkv.LockTimeoutError, match=r"for another 3[0-9.]+ s"):
        store.lease("job", 1, timeout=0.05)


def test_many_threads_take_turns_and_every_token_is_larger(store: shardkv.Store) -> None:
    tokens: list[int] = []
    inside = threading.Lock()

    def work() -> None:
        for _ in range(10):
            with store.lease("job", 60, timeout=60) as lease:
                assert inside.acquire(blocking=False)
                tokens.append(lease.token)
                inside.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens == list(range(1, 61))


def beside(store: shardkv.Store, rival: Callable[[], Any]) -> None:
    """Let another thread write between the next look at a record and the write that follows."""
    inner = store._inner()
    cas = inner.cas

    def after_a_rival(*args: Any, **rest: Any) -> bool:
        inner.cas = cas  # type: ignore[method-assign]
        rival()
        return cas(*args, **rest)

    inner.cas = after_a_rival  # type: ignore[method-assign]


def test_a_renewal_beside_a_renewal_is_made_again(store: shardkv.Store) -> None:
    lease = store.lease("job", 3600)
    beside(store, lambda: lease.renew(7200))
    lease.renew(600)
    assert 500 < lease.expires_at - store._engine.clock_ms() / 1000 <= 600


def test_a_renewal_beside_a_grant_takes_nothing_away(store: shardkv.Store) -> None:
    lease, taken = store.lease("job", 3600), []

    def take_over() -> None:
        store._engine.shift_clock(HOUR_MS)
        taken.append(store.lease("job", 3600))

    beside(store, take_over)
    with pytest.raises(shardkv.LeaseLostError, match="token 2 was granted since"):
        lease.renew(7200)
    assert taken[0].held()


def test_of_two_that_find_it_free_together_one_gets_it(store: shardkv.Store) -> None:
    for token in (1, 3):
        winners: list[shardkv.Lease] = []
        beside(store, lambda winners=winners: winners.append(store.lease("job", 3600)))  # type: ignore[misc]
        with pytest.raises(shardkv.LockTimeoutError):
            store.lease("job", 3600)
        assert [winner.token for winner in winners] == [token]
        winners[0].release()
        store.lease("job", 3600).release()


@pytest.mark.parametrize("name", ["", "x" * 494, "é" * 247, "\ud800"])
def test_a_bad_name_is_refused(store: shardkv.Store, name: str) -> None:
    with pytest.raises(shardkv.InvalidError, match="name of a lease"):
        store.lease(name, 1)
    assert store.stats().seqno == 0


@pytest.mark.parametrize("name", [b"job", 1, None])
def test_a_name_that_is_no_text_is_refused(store: shardkv.Store, name: Any) -> None:
    with pytest.raises(TypeError, match="must be str"):
        store.lease(name, 1)


def test_a_bad_ttl_or_timeout_is_refused(store: shardkv.Store) -> None:
    bad: Any
    for bad in (None, "1", True):
        with pytest.raises(TypeError, match="ttl"):
            store.lease("job", bad)
    for bad in (0, -1, float("nan"), float("inf"), 1e12):
        with pytest.raises(shardkv.InvalidError, match="ttl"):
            store.lease("job", bad)
    for bad in (-1, float("nan"), float("inf")):
        with pytest.raises(shardkv.InvalidError, match="timeout"):
            store.lease("job", 1, timeout=bad)
    with pytest.raises(TypeError, match="timeout"):
        store.lease("job", 1, timeout="1")  # type: ignore[arg-type]
    assert store.stats().seqno == 0
    lease = store.lease("job", 1000)
    for bad in (0, -1, float("inf")):
        with pytest.raises(shardkv.InvalidError, match="ttl"):
            lease.renew(bad)
    assert lease.held()


def test_leases_are_no_keys_of_the_store(store: shardkv.Store) -> None:
    store.lease("job", 1000)
    assert not list(store)
    assert store.namespaces() == []
    assert [msgpack.unpackb(value)[0] for _, value in store._inner().scan(prefix=LEASES)] == [1]
    store.clear()
    with pytest.raises(shardkv.LockTimeoutError):
        store.lease("job", 1000)


def test_a_record_of_a_later_version_is_not_misread(store: shardkv.Store) -> None:
    for stored in (b"\x01", b"\x93\1\2\3", b"\xc1"):
        store._inner().put(LEASES + b"job", stored)
        with pytest.raises(shardkv.FormatError, match="record of lease 'job'"):
            store.lease("job", 1)


def test_a_readonly_or_closed_store_grants_none(tmp_path: Path) -> None:
    shardkv.open(tmp_path / "store").close()
    with shardkv.open(tmp_path / "store", readonly=True) as store:
        with pytest.raises(shardkv.ReadOnlyError):
            store.lease("job", 1)
    with pytest.raises(shardkv.ClosedError):
        store.lease("job", 1)
