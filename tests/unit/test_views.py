"""A namespace's view of batches and snapshots: one commit, one cut, over several namespaces and plain keys."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import shardkv


def test_one_batch_spans_namespaces_and_plain_keys(store: shardkv.Store) -> None:
    users, mails = store.namespace("users"), store.namespace("mails", key_codec="tuple")
    users["old"] = 1
    before = store.stats().seqno
    with store.batch() as batch:
        users.using(batch).put("ada", {"age": 36})
        users.using(batch).delete("old")
        mails.using(batch).put(("ada", 1), "hello", ttl=50)
        batch.put(b"plain", b"1")
        assert len(batch) == 4
        assert dict(users) == {"old": 1}
    assert batch.seqno == before + 4
    assert dict(users) == {"ada": {"age": 36}}
    assert dict(mails) == {("ada", 1): "hello"}
    assert dict(store) == {b"plain": b"1"}


def test_a_batch_that_fails_leaves_all_namespaces_as_they_were(store: shardkv.Store) -> None:
    users = store.namespace("users")
    with suppress(KeyError), users.batch() as own:
        own.put("a", 1)
        raise KeyError
    with suppress(KeyError), store.batch() as batch:
        users.using(batch).put("a", 1)
        raise KeyError
    assert not users


def test_a_batch_of_one_namespace(store: shardkv.Store) -> None:
    users = store.namespace("users")
    with users.batch(ack="memory") as batch:
        batch.put("a", 1)
        batch.put("b", 2)
        batch.delete("a")
    assert batch.seqno == store.stats().seqno
    assert dict(users) == {"b": 2}
    with pytest.raises(shardkv.ClosedError, match="applied or dropped"):
        batch.put("c", 3)


def test_the_plain_batch_still_refuses_reserved_keys(store: shardkv.Store) -> None:
    users = store.namespace("users")
    with store.batch() as batch:
        users.using(batch).put("a", 1)
        with pytest.raises(shardkv.InvalidError, match="reserved"):
            batch.put(b"\xff\xff\xff\xffx", b"")
        with pytest.raises(shardkv.InvalidError, match="reserved"):
            batch.delete(b"\xff\xff\xff\xffx")
    assert dict(users) == {"a": 1}


def test_one_snapshot_shows_one_moment_of_all_namespaces(store: shardkv.Store) -> None:
    users, mails = store.namespace("users"), store.namespace("mails")
    users["a"], mails["a"], store[b"a"] = 1, 2, b"3"
    with store.snapshot() as cut:
        users["a"], mails["b"], store[b"a"] = 10, 20, b"30"
        del mails["a"]
        view = users.using(cut)
        assert view["a"] == view.get("a") == 1
        assert view.seqno == cut.seqno
        assert dict(mails.using(cut).scan()) == {"a": 2}
        assert list(mails.using(cut)) == ["a"]
        assert "b" not in mails.using(cut)
        assert mails.using(cut).get_many(["a", "b"]) == {"a": 2}
        assert dict(cut.scan()) == {b"a": b"3"}
        with pytest.raises(KeyError):
            mails.using(cut)["b"]
    with pytest.raises(shardkv.ClosedError, match="snapshot is closed"):
        view.get("a")


def test_a_snapshot_of_one_namespace(store: shardkv.Store) -> None:
    users = store.namespace("users")
    users["a"] = 1
    with users.snapshot() as cut:
        users["a"] = 2
        assert dict(cut.scan()) == {"a": 1}
        assert cut.seqno < store.stats().seqno
    with pytest.raises(shardkv.ClosedError, match="snapshot is closed"):
        cut.get("a")
    cut.close()


def test_the_plain_snapshot_still_refuses_reserved_keys(store: shardkv.Store) -> None:
    users = store.namespace("users")
    users["a"] = 1
    with store.snapshot() as cut:
        assert users.using(cut)["a"] == 1
        assert list(cut.scan()) == []
        with pytest.raises(shardkv.InvalidError, match="reserved"):
            cut.get(b"\xff\xff\xff\xff\x00\x00\x10\x02a")


def test_what_belongs_to_another_store_is_refused(store: shardkv.Store, tmp_path: Path) -> None:
    users = store.namespace("users")
    with shardkv.open(tmp_path / "other") as other:
        with pytest.raises(shardkv.InvalidError, match="batch belongs to another store"):
            users.using(other.batch())
        with (
            other.snapshot() as cut,
            pytest.raises(shardkv.InvalidError, match="snapshot belongs to another store"),
        ):
            users.using(cut)
    with shardkv.open(store.path) as again, again.batch() as batch:
        users.using(batch).put("a", 1)
    assert users["a"] == 1


@pytest.mark.parametrize("scope", [None, 1, "batch", object(), dict])
def test_what_is_no_scope_is_refused(store: shardkv.Store, scope: Any) -> None:
    with pytest.raises(TypeError, match="using takes a batch, snapshot"):
        store.namespace("users").using(scope)
    with pytest.raises(TypeError, match="not Store"):
        store.namespace("users").using(store)


def test_a_batch_that_is_over_takes_nothing(store: shardkv.Store) -> None:
    users = store.namespace("users")
    with store.batch() as batch:
        view = users.using(batch)
        view.put("a", 1)
    with pytest.raises(shardkv.ClosedError):
        view.put("b", 1)
    with pytest.raises(shardkv.ClosedError):
        users.using(batch).delete("a")
    assert dict(users) == {"a": 1}


def test_a_batch_is_refused_whole_when_a_view_made_it_too_large(store: shardkv.Store) -> None:
    users, value = store.namespace("users"), b"x" * (16 << 20)
    with store.batch(ack="memory") as batch:
        users.using(batch).put("a", value)
        with pytest.raises(shardkv.ValueTooLargeError, match="batch would have"):
            users.using(batch).put("b", value)
        assert batch.nbytes > 16 << 20
    assert list(users) == ["a"]


def test_one_transaction_spans_namespaces_and_plain_keys(store: shardkv.Store) -> None:
    cash, book = store.namespace("cash"), store.namespace("book", key_codec="tuple")
    cash.update({"ann": 100, "bob": 0})
    with store.transaction() as t:
        money = cash.using(t)
        money["ann"] = money["ann"] - 30
        money.put("bob", money.get("bob") + 30)
        book.using(t)[("ann", 1)] = "30 to bob"
        t.put(b"transfers", b"1")
        assert list(money.scan()) == [("ann", 70), ("bob", 30)]
        assert money.get_many(["ann", "eve"]) == {"ann": 70}
        assert dict(cash) == {"ann": 100, "bob": 0}
    assert dict(cash) == {"ann": 70, "bob": 30}
    assert dict(book) == {("ann", 1): "30 to bob"}
    assert dict(store) == {b"transfers": b"1"}


@pytest.mark.parametrize(
    "read",
    [
        lambda view: view.get("a"),
        lambda view: "absent" in view,
        lambda view: view.get_many(["a"]),
        lambda view: list(view.scan(prefix=("user",))),
        lambda view: list(view),
    ],
)
def test_what_a_transaction_read_in_a_namespace_must_not_change(
    store: shardkv.Store, read: Any
) -> None:
    ns, other = store.namespace("x"), store.namespace("y")
    ns.update({"a": 1, ("user", 1): 1})
    with suppress(shardkv.ConflictError), ns.transaction() as t:
        read(t)
        t.put("mine", 1)
        ns.update({"a": 2, "absent": 1, ("user", 2): 1})
    assert "mine" not in ns
    with ns.transaction() as t:
        read(t)
        t.put("mine", 1)
        other.update({"a": 2, "absent": 1, ("user", 2): 1})
    assert t.seqno == ns.get_entry("mine").version  # type: ignore[union-attr]


def test_a_conflict_names_the_typed_key(store: shardkv.Store) -> None:
    ns = store.namespace("x")
    ns[("user", 1)] = 1

    def meddle(read: Any) -> str:
        told = "no conflict"
        try:
            with ns.transaction() as t:
                read(t)
                t["mine"] = 1
                ns.incr(("user", 1))
        except shardkv.ConflictError as error:
            told = str(error)
        return told

    changed = "has changed since the transaction began; nothing was written"
    assert meddle(lambda t: t[("user", 1)]) == (
        f"the key ('user', 1) of namespace 'x', which was read, {changed}"
    )
    assert meddle(lambda t: list(t.scan(prefix=("user",)))) == (
        f"a key among those that were scanned in namespace 'x' {changed}"
    )


def test_a_transaction_of_a_namespace_is_run_until_it_commits(store: shardkv.Store) -> None:
    ns, tries = store.namespace("x"), []

    def fn(t: Any) -> int:
        tries.append(t.get("n", 0))
        if len(tries) < 3:
            ns["n"] = len(tries)
        t["n"] = tries[-1] + 10
        return t["n"]  # type: ignore[no-any-return]

    assert ns.run_transaction(fn) == 12
    assert tries == [0, 1, 2]
    assert ns["n"] == 12
    with pytest.raises(shardkv.ConflictError):
        ns.run_transaction(lambda t: ns.incr("n", t["n"]) and t.put("n", 0), retries=2)


def test_a_transaction_of_another_store_or_that_is_over_is_refused(
    store: shardkv.Store, tmp_path: Path
) -> None:
    ns = store.namespace("x")
    with shardkv.open(tmp_path / "other") as other:
        with pytest.raises(shardkv.InvalidError, match="transaction belongs to another store"):
            ns.using(other.transaction())
    with ns.transaction() as t, pytest.raises(KeyError):
        del t["absent"]
    for call in (lambda: t.get("a"), lambda: t.put("a", 1), lambda: list(t.scan())):
        with pytest.raises(shardkv.ClosedError, match="over"):
            call()
    with ns.transaction(), pytest.raises(shardkv.InvalidError, match="do not nest"):
        store.transaction().__enter__()
