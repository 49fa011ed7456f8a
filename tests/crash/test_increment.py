"""Copies and increments whose n-th file call fails, or that are killed there, and then made again.

What lies there is a store as it was at one seqno, not older than before; or, of a first copy,
nothing that opens. The next attempt goes on with it and makes it whole.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shardkv

from .children import ChildDiedError, Children, open_request
from .power import scaled
from .shim import Fault, settings
from .test_backup import FAULTS

OPTIONS: dict[str, Any] = {"segment_bytes": (64 << 10, 1 << 20)}
State = dict[bytes, bytes]


class Source:
    """A store whose state at each seqno is known."""

    def __init__(self, where: Path, rng: random.Random) -> None:
        self.path, self.rng = where / "source", rng
        self.states: list[State] = [{}]
        shardkv.open(self.path, shards=3, retain_log_bytes=1 << 30, **OPTIONS).close()

    def write(self, count: int, *, flush: bool) -> None:
        with shardkv.open(self.path, **OPTIONS) as store:
            for _ in range(count):
                self.write_one(store)
            if flush:
                store.flush()
            store.close(flush=False)

    def write_one(self, store: shardkv.Store) -> None:
        key, state = b"%d" % self.rng.randrange(40), dict(self.states[-1])
        if key in state and self.rng.random() < 0.3:
            store.delete(key, ack="memory")
            del state[key]
        else:
            state[key] = self.rng.randbytes(self.rng.randrange(2000))
            store.put(key, state[key], ack=self.rng.choice(("memory", "disk")))
        self.states.append(state)

    def judge(self, dest: Path, scratch: Path, story: str) -> int:
        """Return the seqno that a copy is of; -1 when it is no store."""
        if not dest.exists() or not {entry.name for entry in dest.iterdir()} - {"LOCK"}:
            return -1
        shutil.copytree(dest, scratch / "judged")
        try:
            with shardkv.open(scratch / "judged", create=False) as copy:
                seqno = copy.stats().seqno
                assert dict(copy) == self.states[seqno], f"{story}: wrong at {seqno}"
        except shardkv.FormatError as error:
            if "not finished" not in str(error):
                raise
            return -1
        finally:
            shutil.rmtree(scratch / "judged")
        return seqno


class Trials:
    """Backups of a source by children, each under a fault."""

    def __init__(self, runners: Children, source: Source, scratch: Path) -> None:
        self.runners, self.source, self.scratch = runners, source, scratch

    def ask(self, dest: Path, fault: Fault | None) -> dict[str, Any]:
        request = open_request(
            "backup", self.source.path, 0, options={"shards": None}, dest=str(dest)
        )
        if fault:
            request["shim"] = settings(dest.parent, fault)
        try:
            return self.runners.ask(request)
        except ChildDiedError as error:
            if error.signal != 9:
                raise
            return {"hit": "killed", "signal": 9}

    def run(self, kind: str, stride: int, prepare: Callable[[Path], int]) -> set[int]:
        """Return the seqnos that were found after a fault."""
        seen = set()
        for at in itertools.count(self.source.rng.randint(1, stride), stride):
            where = self.scratch / f"at-{at}"
            where.mkdir()
            least, fault = prepare(where / "copy"), FAULTS[kind](at)
            answer = self.ask(where / "copy", fault)
            story = f"{fault}: {answer}"
            assert "finding" not in answer, story
            seqno = self.source.judge(where / "copy", where, story)
            assert seqno >= least, story
            seen.add(seqno)
            last = len(self.source.states) - 1
            assert {"error", "signal"} & answer.keys() or seqno == last, story
            again = self.ask(where / "copy", None)
            assert again.get("seqno") == last, f"{story}: not to be made again: {again}"
            assert self.source.judge(where / "copy", where, story) == last
            assert shardkv.check(where / "copy", pages=False).ok, story
            shutil.rmtree(where)
            if not answer["hit"]:
                return seen
        raise AssertionError("unreachable")


@pytest.fixture
def trials(runners: Children, scratch: Path, rng: random.Random) -> Trials:
    return Trials(runners, Source(scratch, rng), scratch)


def stride_of(calls: int) -> int:
    return max(1, round(calls / scaled(1)))


@pytest.mark.parametrize("kind", FAULTS)
def test_an_increment_with_a_fault_anywhere_leaves_a_backup_that_grows_again(
    trials: Trials, scratch: Path, kind: str
) -> None:
    source = trials.source
    source.write(60, flush=True)
    source.write(20, flush=False)
    first = trials.ask(scratch / "template", None)["seqno"]
    source.write(150, flush=True)
    source.write(100, flush=False)

    def prepare(dest: Path) -> int:
        shutil.copytree(scratch / "template", dest)
        return int(first)

    seen = trials.run(kind, stride_of(3), prepare)
    assert 330 in seen
    assert kind == "short write" or min(seen) == 80


@pytest.mark.parametrize("kind", FAULTS)
def test_a_first_copy_with_a_fault_anywhere_is_gone_on_with(trials: Trials, kind: str) -> None:
    trials.source.write(60, flush=True)
    trials.source.write(60, flush=False)
    seen = trials.run(kind, stride_of(6), lambda dest: -1)
    assert seen <= {-1, 120}
    assert 120 in seen
