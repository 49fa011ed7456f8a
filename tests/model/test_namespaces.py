"""Namespaces as a state machine beside dicts: typed keys, batches and snapshots over several, drops, reopening."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model.machine import PLACE

import shardkv

RANK = {bytes: 0, str: 1, tuple: 2, int: 3}
NAMES = ("", "a", "b")  # of namespaces, each with a letter before it

plain = some.sampled_from(["", "a", "a\0", "ab", "b", "é", b"", b"a", b"a\0", b"\xff"])
plain |= some.integers(-3, 300) | some.sampled_from([2**70, -(2**70)])
keys = plain | some.lists(plain | some.just(("x", 1)), max_size=3).map(tuple)
values = some.none() | some.integers(-(2**63), 2**63) | some.text("ab", max_size=3)
values |= some.lists(some.none() | some.just((1, "x")), max_size=2).map(tuple)
pairs = some.lists(some.tuples(keys, values), max_size=20)
names = some.sampled_from(NAMES)


def order(key: Any) -> Any:
    """Return something that Python sorts as a namespace has to sort the key."""
    return (RANK[type(key)], [order(part) for part in key] if type(key) is tuple else key)


def ordered(model: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return sorted(model.items(), key=lambda pair: order(pair[0]))


def begins(key: Any, prefix: Any) -> bool:
    if type(key) is not type(prefix):
        return False
    return bool(key[: len(prefix)] == prefix if type(key) is tuple else key.startswith(prefix))


class NamespacesBesideDicts(RuleBasedStateMachine):
    """One store, three namespaces, a dict for each; and snapshots with copies of the dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="shardkv-model-", dir=PLACE))
        self.models: dict[str, dict[Any, Any]] = {name: {} for name in NAMES}
        self.cuts: list[tuple[shardkv.Snapshot, dict[str, tuple[Any, dict[Any, Any]]]]] = []

    @initialize()
    def begin(self) -> None:
        self.store = shardkv.open(self.place / "store", shards=3, ack="memory")

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.place)

    def space(self, name: str) -> shardkv.Namespace:
        return self.store.namespace("n" + name)

    @rule(name=names, key=keys, value=values, how=some.sampled_from(["put", "submit", "set"]))
    def put(self, name: str, key: Any, value: Any, how: str) -> None:
        ns = self.space(name)
        {"put": ns.put, "submit": ns.submit, "set": ns.__setitem__}[how](key, value)
        self.models[name][key] = value

    @rule(name=names, key=keys, value=values)
    def add_or_cas(self, name: str, key: Any, value: Any) -> None:
        ns, model = self.space(name), self.models[name]
        entry = ns.get_entry(key)
        assert ns.add(key, value) == (key not in model)
        if entry is not None:
            assert entry.value == model[key]
            assert ns.cas(key, value, entry.version)
            assert not ns.cas(key, None, entry.version)
        model[key] = value

    @rule(name=names, key=keys)
    def remove(self, name: str, key: Any) -> None:
        assert self.space(name).pop(key, "absent") == self.models[name].pop(key, "absent")

    @rule(name=names, items=pairs, gone=some.lists(keys, max_size=5))
    def many(self, name: str, items: list[Any], gone: list[Any]) -> None:
        ns, model = self.space(name), self.models[name]
        ns.put_many(items)
        model.update(items)
        here = {key for key in gone if key in model}
        assert ns.delete_many(gone) == len(here)
        for key in here:
            del model[key]

    @rule(items=some.lists(some.tuples(names, keys, values, some.booleans()), max_size=8))
    def batch(self, items: list[tuple[str, Any, Any, bool]]) -> None:
        with self.store.batch() as batch:
            batch.put(b"plain", b"1")
            for name, key, value, put in items:
                view = self.space(name).using(batch)
                if put:
                    view.put(key, value)
                    self.models[name][key] = value
                else:
                    view.delete(key)
                    self.models[name].pop(key, None)

    @rule(
        items=some.lists(some.tuples(names, keys, values), min_size=1, max_size=5),
        prefix=some.sampled_from(["a", b"", (), ("x",)]),
        conflict=some.booleans(),
    )
    def transact(self, items: list[tuple[str, Any, Any]], prefix: Any, conflict: bool) -> None:
        """Read all keys and a range of the first one's namespace, write all; in vain if somebody else wrote one."""
        first = items[0][0]
        spaces = {name: self.space(name) for name in NAMES}
        after = {name: dict(model) for name, model in self.models.items()}
        with suppress(shardkv.ConflictError), self.store.transaction() as transaction:
            for name, key, value in items:
                view = spaces[name].using(transaction)
                assert view.get(key, "absent") == after[name].get(key, "absent")
                view.put(key, value)
                after[name][key] = value
            found = list(spaces[first].using(transaction).scan(prefix=prefix))
            expected = [pair for pair in ordered(after[first]) if begins(pair[0], prefix)]
            assert found == expected
            if conflict:
                spaces[first][items[0][1]] = self.models[first][items[0][1]] = "theirs"
        if not conflict:
            assert transaction.seqno
            self.models = after

    @rule(name=names, drop=some.booleans())
    def empty(self, name: str, drop: bool) -> None:
        ns = self.space(name)
        if drop:
            assert self.store.drop_namespace("n" + name)
            for _, copies in self.cuts:
                copies.pop(name, None)
        else:
            ns.clear()
        self.models[name] = {}

    @rule(flush=some.booleans())
    def reopen(self, flush: bool) -> None:
        self.store.close(flush=flush)
        self.cuts.clear()
        self.store = shardkv.open(self.place / "store", ack="memory")

    @precondition(lambda self: len(self.cuts) < 3)
    @rule()
    def take_snapshot(self) -> None:
        spaces = {name: self.space(name) for name in NAMES}
        cut = self.store.snapshot()
        copies = {name: (spaces[name].using(cut), dict(self.models[name])) for name in NAMES}
        self.cuts.append((cut, copies))

    @precondition(lambda self: self.cuts)
    @rule(which=some.integers(0))
    def end_snapshot(self, which: int) -> None:
        cut, _ = self.cuts.pop(which % len(self.cuts))
        cut.close()

    @rule(
        name=names,
        start=some.none() | keys,
        stop=some.none() | keys,
        prefix=some.none() | keys.filter(lambda key: type(key) is not int),
        reverse=some.booleans(),
        limit=some.none() | some.integers(0, 5),
    )
    def scan(
        self, name: str, start: Any, stop: Any, prefix: Any, reverse: bool, limit: int | None
    ) -> None:
        rows = [
            (key, value)
            for key, value in ordered(self.models[name])
            if (start is None or order(start) <= order(key))
            and (stop is None or order(key) < order(stop))
            and (prefix is None or begins(key, prefix))
        ]
        found = self.space(name).scan(start, stop, prefix=prefix, reverse=reverse, limit=limit)
        assert list(found) == (rows[::-1] if reverse else rows)[:limit]

    @invariant()
    def everything_is_as_in_the_dicts(self) -> None:
        if not hasattr(self, "store"):
            return
        for name, model in self.models.items():
            ns = self.space(name)
            assert list(ns.items()) == ordered(model)
            assert ns.get_many(model) == model
            assert (len(ns), bool(ns)) == (len(model), bool(model))

    @invariant()
    def snapshots_stay_as_they_were(self) -> None:
        for _, copies in self.cuts:
            for view, copy in copies.values():
                assert list(view.scan()) == ordered(copy)


def walk(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        NamespacesBesideDicts,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_namespaces_are_dicts_that_survive() -> None:
    walk(15, 25)


@pytest.mark.slow
def test_namespaces_are_dicts_that_survive_long_walks() -> None:
    walk(500, 100)
