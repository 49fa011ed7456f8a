"""Tickets: a write that was appended, and when it is durable."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from stress.traffic import together

import shardkv


def test_a_ticket_names_the_seqno_of_its_write(store: shardkv.Store) -> None:
    tickets = [store.submit(b"%d" % n, b"v") for n in range(50)]
    assert [ticket.seqno for ticket in tickets] == list(range(1, 51))
    assert [ticket.wait() for ticket in tickets] == list(range(1, 51))
    assert repr(tickets[6]) == "<shardkv.Ticket seqno=7>"


def test_what_was_submitted_is_read_at_once(store: shardkv.Store) -> None:
    store.submit(b"a", b"b")
    assert store[b"a"] == b"b"


def test_waiting_for_one_waits_for_all_before_it(store: shardkv.Store) -> None:
    tickets = [store.submit(b"%d" % n, b"v") for n in range(50)]
    tickets[-1].wait()
    assert all(ticket.done() for ticket in tickets)
    assert store.stats().durable_seqno == 50


def test_a_sync_of_the_store_is_a_wait_for_all(store: shardkv.Store) -> None:
    tickets = [store.submit(b"%d" % n, b"v") for n in range(50)]
    store.sync()
    assert all(ticket.done() for ticket in tickets)


@pytest.mark.parametrize("timeout", [None, 0, -1, 0.0, 30, 1e6])
def test_what_is_done_is_waited_for_in_no_time(store: shardkv.Store, timeout: Any) -> None:
    ticket = store.submit(b"a", b"b")
    ticket.wait()
    assert ticket.wait(timeout) == ticket.seqno


def test_a_wait_that_ends_too_early_says_so_and_may_be_done_again(store: shardkv.Store) -> None:
    for turn in range(100):
        ticket = store.submit(b"a", bytes(1 << 20))
        try:
            assert ticket.wait(0) == ticket.seqno
        except TimeoutError as error:
            assert f"seqno {turn + 1}" in str(error)  # noqa: PT017
            assert ticket.wait() == ticket.seqno
            break
    assert ticket.done()


@pytest.mark.parametrize("timeout", [math.inf, math.nan], ids=str)
def test_an_endless_timeout_is_one(store: shardkv.Store, timeout: float) -> None:
    ticket = store.submit(b"a", b"b")
    if math.isnan(timeout):
        with pytest.raises(shardkv.InvalidError):
            ticket.wait(timeout)
    else:
        assert ticket.wait(timeout) == ticket.seqno


def test_many_threads_may_wait_for_one_ticket(store: shardkv.Store) -> None:
    for turn in range(20):
        ticket = store.submit(b"a", b"%d" % turn)
        together(6, lambda _, ticket=ticket: ticket.wait(30))
        assert ticket.done()


def test_a_ticket_of_a_closed_store_is_done(tmp_path: Path) -> None:
    """Closing syncs: whoever still waits learns that the write is durable."""
    store = shardkv.open(tmp_path / "store")
    ticket = store.submit(b"a", b"b")
    store.close()
    assert ticket.done()
    assert ticket.wait() == ticket.wait(0) == ticket.seqno


@pytest.mark.parametrize(
    "timeout", [1e308, 10**400, -math.inf, -(10**400)], ids=["1", "2", "3", "4"]
)
def test_a_timeout_of_any_size_is_one(store: shardkv.Store, timeout: float) -> None:
    ticket = store.submit(b"a", b"b")
    store.sync()
    assert ticket.wait(timeout) == ticket.seqno


def test_a_timeout_is_a_number(store: shardkv.Store) -> None:
    with pytest.raises(TypeError, match="timeout must be a number, not str"):
        store.submit(b"a", b"b").wait("1")  # type: ignore[arg-type]
