"""Transactions: own writes are seen, nothing else is; what was read must not have changed; all or nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv

ROWS = {b"%02d" % n: b"%d" % n for n in range(0, 20, 2)}


class Stop(RuntimeError):
    """What a block raises to give its transaction up."""


def elsewhere(work: Callable[[], Any]) -> Any:
    """Run a work in a thread of its own; return what it returned or raise what it raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except shardkv.Error as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcome[0], shardkv.Error):
        raise outcome[0]
    return outcome[0]


def run(store: shardkv.Store, *steps: Callable[[shardkv.Transaction], Any]) -> None:
    """Take these steps in one transaction."""
    with store.transaction() as t:
        for step in steps:
            step(t)


def write(t: shardkv.Transaction) -> None:
    """Write something, so that there is something to commit."""
    t.put(b"result", b"")


def give_up(error: type[BaseException]) -> None:
    raise error


@pytest.fixture
def rows(store: shardkv.Store) -> shardkv.Store:
    store.put_many(ROWS)
    return store


# -- reading


def test_a_transaction_reads_its_cut_and_its_own_writes(rows: shardkv.Store) -> None:
    with rows.transaction() as t:
        rows.put(b"00", b"later")
        rows.put(b"new", b"later")
        assert t.get(b"00") == b"0"
        assert t.get(b"new", "default") == "default"
        t.put(b"02", b"own")
        t[b"03"] = b""
        t.delete(b"04")
        del t[b"06"]
        assert (t.get(b"02"), t[b"03"], t.get(b"04"), t.get(b"06")) == (b"own", b"", None, None)
        assert [key in t for key in (b"02", b"03", b"04", b"00", b"new")] == [
            True, True, False, True, False,
        ]  # fmt: skip
        asked = [b"00", b"02", b"03", b"04", b"08", b"new"]
        assert t.get_many(asked) == {b"00": b"0", b"02": b"own", b"03": b"", b"08": b"8"}
        for key in (b"04", b"none"):
            with pytest.raises(KeyError):
                t[key]
            with pytest.raises(KeyError):
                del t[key]
        t._work.writes.clear()  # nothing to commit: what was read has changed


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize(
    "bounds",
    [{}, {"start": b"03", "stop": b"13"}, {"prefix": b"1"}, {"start": b"06", "stop": b"06"}],
)
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 100])
def test_a_scan_shows_own_writes_in_order(
    rows: shardkv.Store, bounds: dict[str, bytes], limit: int | None, values: bool, reverse: bool
) -> None:
    writes = {b"01": b"own", b"02": b"own", b"05": None, b"06": None, b"12": b"own", b"99": b"own"}
    expected = {**ROWS, **writes}
    with rows.transaction() as t:
        for key, value in writes.items():
            t.delete(key) if value is None else t.put(key, value)
        found = list(t.scan(**bounds, limit=limit, values=values, reverse=reverse))
        assert list(t) == sorted(key for key, value in expected.items() if value is not None)
    start, stop = bounds.get("start", b""), bounds.get("stop", b"\xff")
    wanted: list[Any] = [
        (key, value)
        for key, value in sorted(expected.items(), reverse=reverse)
        if value is not None and start <= key < stop and key.startswith(bounds.get("prefix", b""))
    ][:limit]
    assert found == (wanted if values else [key for key, _ in wanted])


def test_a_scan_shows_the_writes_that_were_made_before_it(rows: shardkv.Store) -> None:
    with rows.transaction() as t:
        t.put(b"01", b"own")
        scan = t.scan(stop=b"04")
        t.put(b"03", b"late")
        t.delete(b"01")
        assert [key for key, _ in scan] == [b"00", b"01", b"02"]


# -- commit


def test_all_writes_are_applied_together(rows: shardkv.Store) -> None:
    before = rows.stats().seqno
    with rows.transaction() as t:
        t.put(b"00", b"1")
        t.put(b"00", b"2", ttl=60)
        t.delete(b"02")
        t.put(b"new", b"x")
        assert t.seqno is None
        assert rows[b"00"] == b"0"
    assert t.seqno == before + 3 == rows.stats().seqno
    assert (rows[b"00"], b"02" in rows, rows[b"new"]) == (b"2", False, b"x")
    assert 50 < (rows.ttl(b"00") or 0) <= 60


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, GeneratorExit])
def test_a_block_that_raises_writes_nothing(
    rows: shardkv.Store, error: type[BaseException]
) -> None:
    before = rows.stats()
    with pytest.raises(error):
        run(rows, lambda t: t.put(b"00", b"x"), lambda t: give_up(error))
    assert rows.stats().seqno == before.seqno
    assert rows.stats().snapshots == ()
    with rows.transaction() as t:
        t.put(b"00", b"y")
    assert rows[b"00"] == b"y"


def test_who_only_reads_commits_without_a_write(rows: shardkv.Store) -> None:
    before = rows.stats()
    with rows.transaction() as t:
        assert t.get(b"00") == b"0"
        rows.put(b"00", b"x")
        assert len(list(t.scan())) == len(ROWS)
    after = rows.stats()
    assert (after.seqno, t.seqno) == (before.seqno + 1, None)
    assert after.snapshots == ()


def test_who_only_writes_meets_no_conflict(rows: shardkv.Store) -> None:
    with rows.transaction() as t:
        t.put(b"00", b"mine")
        rows.put(b"00", b"x")
    assert rows[b"00"] == b"mine"


def add(store: shardkv.Store) -> None:
    store.put(b"none", b"")


READS: dict[str, tuple[Callable[[Any], Any], Callable[[shardkv.Store], Any]]] = {
    "put of what was read": (lambda t: t.get(b"04"), lambda s: s.put(b"04", b"4")),
    "delete of what was read": (lambda t: t[b"04"], lambda s: s.delete(b"04")),
    "delete and put": (lambda t: t[b"04"], lambda s: (s.pop(b"04"), s.put(b"04", b"4"))),
    "put of what was absent": (lambda t: t.get(b"none"), add),
    "put of what was seen absent": (lambda t: b"none" in t, add),
    "put of what is not among many": (lambda t: t.get_many([b"00", b"none"]), add),
    "delete of one of many": (lambda t: t.get_many([b"00", b"none"]), lambda s: s.delete(b"00")),
    "touch": (lambda t: b"04" in t, lambda s: s.touch(b"04", 100)),
    "phantom": (lambda t: list(t.scan(b"04", b"08")), lambda s: s.put(b"05", b"")),
    "phantom at the start": (lambda t: list(t.scan(b"03", b"08")), lambda s: s.put(b"03", b"")),
    "phantom in an empty range": (lambda t: list(t.scan(prefix=b"x")), lambda s: s.put(b"xx", b"")),
    "delete in a range": (lambda t: list(t.scan(values=False)), lambda s: s.delete(b"18")),
    "phantom before the last row": (lambda t: list(t.scan(limit=3)), lambda s: s.put(b"03", b"")),
    "write to the last row": (lambda t: list(t.scan(limit=3)), lambda s: s.put(b"04", b"")),
    "reverse, write to the last row": (
        lambda t: list(t.scan(reverse=True, limit=3)), lambda s: s.put(b"14", b""),
    ),
    "reverse, phantom behind all": (lambda t: next(t.scan(reverse=True)), lambda s: s.put(b"x", b"")),
    "phantom behind an own row": (
        lambda t: (t.put(b"17", b""), list(t.scan(b"16", limit=2))), lambda s: s.put(b"165", b""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("flushed", ["", "before", "after", "both"])
@pytest.mark.parametrize("name", READS)
def test_what_was_read_must_not_have_changed(rows: shardkv.Store, name: str, flushed: str) -> None:
    read, change = READS[name]
    if flushed in ("before", "both"):
        rows.flush()
    then = rows.flush if flushed in ("after", "both") else list
    with pytest.raises(shardkv.ConflictError, match="nothing was written"):
        run(rows, read, lambda t: change(rows), lambda t: then(), write)
    assert b"result" not in rows
    assert rows.stats().snapshots == ()


NO_CONFLICTS: dict[str, tuple[Callable[[Any], Any], Callable[[shardkv.Store], Any]]] = {
    "another key": (lambda t: t.get(b"04"), lambda s: s.put(b"06", b"")),
    "an absent key that came and went": (
        lambda t: t.get(b"none"), lambda s: (add(s), s.delete(b"none")),
    ),
    "behind what was looked at": (lambda t: list(t.scan(limit=3)), lambda s: s.put(b"05", b"")),
    "behind where it stopped": (
        lambda t: next(t.scan(b"04")), lambda s: (s.put(b"05", b""), s.put(b"040", b"")),
    ),
    "reverse, behind what was looked at": (
        lambda t: next(t.scan(reverse=True)), lambda s: s.put(b"16", b""),
    ),
    "a scan that was never looked at": (lambda t: t.scan(), lambda s: s.put(b"00", b"")),
    "at the end of a range": (lambda t: list(t.scan(b"04", b"08")), lambda s: s.put(b"08", b"")),
    "before a range": (lambda t: list(t.scan(b"04", b"08")), lambda s: s.put(b"039", b"")),
    "between two ranges": (
        lambda t: (list(t.scan(b"08", b"12")), list(t.scan(b"02", b"05"))), lambda s: s.put(b"06", b""),
    ),
    "an empty range": (lambda t: list(t.scan(b"08", b"02")), lambda s: s.put(b"04", b"")),
    "own writes": (lambda t: (t.put(b"04", b""), t.get(b"04")), lambda s: s.put(b"04", b"x")),
    "a namespace": (lambda t: list(t.scan()), lambda s: s.namespace("n").put("k", 1)),
}  # fmt: skip


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("name", NO_CONFLICTS)
def test_what_was_not_read_may_change(rows: shardkv.Store, name: str, flushed: bool) -> None:
    read, change = NO_CONFLICTS[name]
    with rows.transaction() as t:
        read(t)
        change(rows)
        if flushed:
            rows.flush()
        t.put(b"result", b"")
    assert b"result" in rows


def test_a_conflict_tells_the_key_or_the_range(rows: shardkv.Store) -> None:
    seqno = rows.stats().seqno
    with pytest.raises(shardkv.ConflictError, match="the key b'04', which was read") as caught:
        run(rows, lambda t: (t.get(b"00"), t.get(b"04")), lambda t: rows.put(b"04", b"x"), write)
    assert caught.value.version == seqno + 1
    with pytest.raises(shardkv.ConflictError, match="between b'06' and b'08', which") as caught:
        run(
            rows,
            lambda t: (list(t.scan(b"02", b"04")), list(t.scan(b"06", b"08"))),
            lambda t: rows.put(b"07", b"x"),
            write,
        )
    assert caught.value.version == seqno + 2


def test_ranges_that_meet_are_proved_as_one(rows: shardkv.Store) -> None:
    scans = ((b"08", b"12"), (b"02", b"06"), (b"06", b"09"), (b"03", b"04"))
    for phantom in (b"03", b"05", b"09", b"11"):
        with pytest.raises(shardkv.ConflictError):
            run(
                rows,
                lambda t: [list(t.scan(*bounds)) for bounds in scans],
                lambda t, phantom=phantom: rows.put(phantom, b""),
                write,
            )
        rows.delete(phantom)


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.get(b"short"),
        lambda t: b"short" in t,
        lambda t: list(t.scan()),
        lambda t: list(t.scan(values=False, reverse=True)),
    ],
)
def test_what_expires_before_the_commit_is_a_conflict(
    store: shardkv.Store, read: Callable[[Any], Any]
) -> None:
    store.put(b"long", b"", ttl=1e6)
    store.put(b"short", b"", ttl=60)
    with pytest.raises(shardkv.ConflictError):
        run(store, read, lambda t: store._engine.shift_clock(3_600_000), write)
    with store.transaction() as t:
        assert t.get(b"short") is None
        assert list(t.scan(values=False)) == [b"long"]
        t.put(b"fine", b"")
    assert b"fine" in store


def test_a_commit_behind_many_writes_of_others_goes_through(rows: shardkv.Store) -> None:
    with rows.transaction() as t:
        assert len(list(t.scan(stop=b"50"))) == len(ROWS)
        for turn in range(5):
            rows.put_many({b"x%05d" % n: b"%d" % turn for n in range(3000)})
            rows.flush()
        t.put(b"result", b"")
    assert b"result" in rows


# -- what is refused


def test_transactions_do_not_nest(tmp_path: Path, store: shardkv.Store) -> None:
    with store.transaction() as outer:
        with (
            pytest.raises(shardkv.InvalidError, match="do not nest"),
            store.transaction(),
        ):
            pass
        with (
            shardkv.open(store.path) as twin,
            pytest.raises(shardkv.InvalidError, match="do not nest"),
        ):
            twin.run_transaction(lambda t: None)
        with shardkv.open(tmp_path / "other") as other, other.transaction() as t:
            t.put(b"other", b"")
        elsewhere(lambda: store.run_transaction(lambda t: t.put(b"thread", b"")))
        outer.put(b"outer", b"")
    assert sorted(store) == [b"outer", b"thread"]


USES: dict[str, Callable[[Any], Any]] = {
    "get": lambda t: t.get(b"00"),
    "[]": lambda t: t[b"00"],
    "in": lambda t: b"00" in t,
    "get_many": lambda t: t.get_many([b"00"]),
    "scan": lambda t: t.scan(),
    "iter": iter,
    "put": lambda t: t.put(b"00", b""),
    "[]=": lambda t: t.__setitem__(b"00", b""),
    "delete": lambda t: t.delete(b"00"),
    "del": lambda t: t.__delitem__(b"00"),
}


@pytest.mark.parametrize("use", USES)
def test_a_transaction_is_used_inside_its_block(rows: shardkv.Store, use: str) -> None:
    t = rows.transaction()
    with pytest.raises(shardkv.ClosedError, match="has not begun"):
        USES[use](t)
    with t:
        scan = t.scan()
        next(scan)
        with pytest.raises(shardkv.InvalidError, match="another thread"):
            elsewhere(lambda: USES[use](t))
    with pytest.raises(shardkv.ClosedError, match="is over"):
        USES[use](t)
    with pytest.raises(shardkv.ClosedError, match="is over"):
        next(scan)
    with pytest.raises(shardkv.ClosedError, match="is over"), t:
        pass
    assert rows.stats().seqno == len(ROWS)


def test_a_transaction_ends_with_its_store(tmp_path: Path) -> None:
    store = shardkv.open(tmp_path / "store")
    store.put(b"kept", b"1")
    with pytest.raises(shardkv.ClosedError):
        run(store, write, lambda t: store.close())
    with pytest.raises(shardkv.ClosedError):
        store.transaction()
    with pytest.raises(shardkv.ClosedError):
        store.run_transaction(lambda t: None)
    with shardkv.open(tmp_path / "store") as store:
        assert list(store) == [b"kept"]


def test_a_read_only_store_has_transactions_that_read(tmp_path: Path) -> None:
    shardkv.open(tmp_path / "store").close()
    with shardkv.open(tmp_path / "store", readonly=True) as store:
        with store.transaction() as t:
            assert t.get(b"key") is None
        with pytest.raises(shardkv.ReadOnlyError), store.transaction() as t:
            t.put(b"key", b"")


@pytest.mark.parametrize(
    ("error", "use"),
    [
        (TypeError, lambda t: t.get("key")),
        (TypeError, lambda t: t.put(b"key", "value")),
        (TypeError, lambda t: t.put("key", b"")),
        (TypeError, lambda t: t.scan(limit=1.5)),
        (TypeError, lambda t: t.get_many([b"a", "key"])),
        (shardkv.InvalidError, lambda t: t.scan(limit=-1)),
        (shardkv.InvalidError, lambda t: t.get(b"")),
        (shardkv.InvalidError, lambda t: t.put(b"", b"")),
        (shardkv.InvalidError, lambda t: t.put(b"key", b"", ttl=0)),
        (shardkv.InvalidError, lambda t: t.put(b"\xff" * 4, b"")),
        (shardkv.InvalidError, lambda t: t.delete(b"\xff" * 5)),
        (shardkv.InvalidError, lambda t: t.get(b"\xff" * 4)),
        (shardkv.KeyTooLongError, lambda t: t.get(b"k" * 501)),
        (shardkv.KeyTooLongError, lambda t: t.delete(b"k" * 501)),
        (shardkv.KeyTooLongError, lambda t: t.scan(b"k" * 501)),
        (shardkv.ValueTooLargeError, lambda t: t.put(b"key", bytes((32 << 20) + 1))),
    ],
)
def test_what_is_refused_leaves_the_transaction_as_it_was(
    store: shardkv.Store, error: type[Exception], use: Callable[[Any], Any]
) -> None:
    with store.transaction() as t:
        t.put(b"a", b"1")
        with pytest.raises(error):
            use(t)
        t.put(b"b", b"2")
    assert dict(store.items()) == {b"a": b"1", b"b": b"2"}


def test_what_is_written_anew_counts_once(store: shardkv.Store) -> None:
    value = bytes(1 << 20)
    with store.transaction() as t:
        for _ in range(40):
            t.put(b"key", value)
        for n in range(30):
            t.put(b"%d" % n, value)
        with pytest.raises(shardkv.ValueTooLargeError):
            t.put(b"more", bytes(2 << 20))
        t.delete(b"0")
        t.put(b"more", bytes((1 << 20) + 1000))
    assert len(store) == 31


# -- run_transaction


def test_run_transaction_tries_until_it_commits(store: shardkv.Store) -> None:
    tries: list[int] = []

    def count(t: shardkv.Transaction) -> str:
        value = int(t.get(b"n", b"0"))
        tries.append(value)
        if len(tries) < 4:
            store.put(b"n", b"%d" % (value + 10))
        t.put(b"n", b"%d" % (value + 1))
        return "done"

    assert store.run_transaction(count) == "done"
    assert tries == [0, 10, 20, 30]
    assert store[b"n"] == b"31"


def test_run_transaction_gives_up_after_its_retries(store: shardkv.Store) -> None:
    tries = []

    def collide(t: shardkv.Transaction) -> None:
        tries.append(t.get(b"n"))
        store.put(b"n", b"%d" % len(tries))
        t.put(b"n", b"")

    with pytest.raises(shardkv.ConflictError):
        store.run_transaction(collide, retries=3)
    assert len(tries) == 4


@pytest.mark.parametrize("error", [Stop, shardkv.ConflictError])
def test_what_the_function_raises_is_not_tried_again(
    store: shardkv.Store, error: type[Exception]
) -> None:
    tries = []

    def fail(t: shardkv.Transaction) -> None:
        tries.append(1)
        raise error("mine")

    with pytest.raises(error, match="mine"):
        store.run_transaction(fail)
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("error", "retries"), [(TypeError, 1.0), (TypeError, True), (shardkv.InvalidError, -1)]
)
def test_retries_are_a_number(store: shardkv.Store, error: type[Exception], retries: Any) -> None:
    with pytest.raises(error, match="retries"):
        store.run_transaction(lambda t: None, retries=retries)


def test_the_ack_of_a_transaction(store: shardkv.Store) -> None:
    with store.transaction(ack="memory") as t:
        t.put(b"a", b"")
    with store.transaction(ack="disk") as t:
        t.put(b"b", b"")
    assert t.seqno is not None
    assert store.stats().durable_seqno >= t.seqno
    with pytest.raises(shardkv.InvalidError):
        store.transaction(ack="some")  # type: ignore[arg-type, unused-ignore]


# -- namespaces and tasks


def test_a_transaction_spans_namespaces(store: shardkv.Store) -> None:
    people, ages = store.namespace("people"), store.namespace("ages")
    people["ann"] = {"name": "Ann"}
    with store.transaction() as t:
        names, numbers = people.using(t), ages.using(t)
        assert names["ann"] == {"name": "Ann"}
        numbers["ann"] = 40
        names["bob"] = {"name": "Bob"}
        t.put(b"raw", b"x")
        assert dict(names.scan()) == {"ann": {"name": "Ann"}, "bob": {"name": "Bob"}}
        assert "bob" not in people
        assert list(t.scan()) == [(b"raw", b"x")]
    assert (ages["ann"], people["bob"], store[b"raw"]) == (40, {"name": "Bob"}, b"x")
    with pytest.raises(shardkv.ConflictError):
        run(
            store,
            lambda t: list(people.using(t).scan("b")),
            lambda t: people.put("cy", {}),
            lambda t: ages.using(t).put("cy", 1),
        )
    assert "cy" not in ages


def test_each_task_has_a_transaction_of_its_own(store: shardkv.Store) -> None:
    async def add_one(key: bytes) -> None:
        with store.transaction() as t:
            await asyncio.sleep(0)
            t.put(key, b"")
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(add_one(b"%d" % n) for n in range(10)))

    asyncio.run(main())
    assert len(store) == 10
    assert store._shared.transactions == {}
