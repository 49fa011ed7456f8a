"""Histories with kill -9 inside: what was answered stays, and a call that was cut off happened or did not."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crash import shim as shim_module
from crash.children import OPTIONS, Child, ChildDiedError
from crash.conftest import scratch
from crash.shim import Fault, settings
from history import cycles
from history.callers import key_names, scaled
from history.calls import Recorder, by_key
from history.diary import diary_of, read_life, read_txns
from history.linear import check
from history.lists import final_lists

import shardkv

__all__ = ["scratch"]
KINDS = ("kill-before", "kill-middle", "kill-after")
KEYS, THREADS = 16, 5


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim_module.build(tmp_path_factory.mktemp("shim"))


class Lives:
    """One store, life after life, and the history of all of them."""

    def __init__(self, where: Path, rng: random.Random) -> None:
        self.root, self._where, self._rng = where / "root", where, rng
        self.root.mkdir()
        self.diaries: list[tuple[bytes, int]] = []
        self.kills = 0
        self._life = 0

    def live(self, child: Child, die: Callable[[Child, Path], bool], **more: Any) -> None:
        """Run one life; `die` says whether it killed it."""
        self._life += 1
        diary = self._where / f"diary-{self._life}"
        child.send(
            {
                "do": "history",
                "path": str(self.root / "store"),
                "diary": str(diary),
                "options": OPTIONS,
                "seed": self._rng.getrandbits(32),
                "life": self._life,
                "threads": THREADS,
                "what": "keys",
                "keys": KEYS,
                "calls": scaled(2_000),
                "flushes": 20,
                **more,
            }
        )
        self.kills += die(child, diary)
        self.diaries.append((diary_of(diary), time.monotonic_ns()))

    def judge(self) -> None:
        """Look at every key once more, and check the whole history."""
        calls = [call for life in self.diaries for call in read_life(*life)]
        with shardkv.open(self.root / "store") as store:
            last = Recorder(-1, lambda: store)
            for key in key_names(KEYS):
                last.do("get_entry", key)
        check(by_key(calls + last.calls))

    def judge_lists(self) -> None:
        """Look at every list once more, and check all transactions."""
        with shardkv.open(self.root / "store") as store:
            final = final_lists(store)
        txns = [txn for life in self.diaries for txn in read_txns(*life)]
        assert cycles.check(txns, final)


def at_line(count: int) -> Callable[[Child, Path], bool]:
    """Return what kills a child once its diary has so many lines, unless it ends before."""

    def die(child: Child, diary: Path) -> bool:
        diary.touch()
        with diary.open("rb") as text:
            lines = 0
            while (lines := lines + text.read().count(b"\n")) < count:
                if not child.answers_within(0.001):
                    continue
                answer = child.answer()
                assert answer == {"held": []}
                return False
        child.kill()
        return True

    return die


def by_itself(child: Child, diary: Path) -> bool:
    """Wait for a child that its shim kills."""
    try:
        answer = child.answer(60)
    except ChildDiedError as error:
        if error.signal == signal.SIGKILL:
            return True
        raise
    assert "error" not in answer, answer
    assert "finding" not in answer, answer
    return False


def test_kills_at_any_moment_leave_one_order(scratch: Path, rng: random.Random) -> None:
    lives = Lives(scratch, rng)
    for _ in range(5):
        with Child(module="history.child") as child:
            lives.live(child, at_line(rng.randrange(1, scaled(4_000))), calls=20_000)
    assert lives.kills
    lives.judge()


@pytest.mark.unsanitized
def test_kills_at_file_calls_leave_one_order(scratch: Path, rng: random.Random, shim: Path) -> None:
    lives = Lives(scratch, rng)
    for _ in range(5):
        with Child(shim, module="history.child") as child:
            fault = Fault(rng.choice(KINDS), rng.randrange(1, scaled(300) + 20))
            lives.live(child, by_itself, shim=settings(lives.root, fault))
    assert lives.kills
    lives.judge()


def test_kills_leave_transactions_whole_and_in_one_order(scratch: Path, rng: random.Random) -> None:
    lives = Lives(scratch, rng)
    for _ in range(4):
        with Child(module="history.child") as child:
            calls = {"what": "lists", "calls": 5_000}  # more than any of them lives to make
            lives.live(child, at_line(rng.randrange(50, scaled(300) + 50)), **calls)
    assert lives.kills
    lives.judge_lists()


@pytest.mark.slow
def test_kills_in_many_lives_leave_one_order(scratch: Path, rng: random.Random, shim: Path) -> None:
    seen: Counter[str] = Counter()
    for number in range(scaled(20)):
        where = scratch / str(number)
        where.mkdir()
        lives = Lives(where, rng)
        for _ in range(12):
            with Child(shim, module="history.child") as child:
                before = lives.kills
                if rng.random() < 0.5:
                    how = "at a line"
                    lives.live(child, at_line(rng.randrange(1, 4_400)))
                else:
                    how = rng.choice(KINDS)
                    fault = Fault(how, rng.randrange(1, 600))
                    lives.live(child, by_itself, shim=settings(lives.root, fault))
                seen[how if lives.kills > before else "to its end"] += 1
        lives.judge()
    print(dict(seen))
    assert seen.keys() >= {*KINDS, "at a line"}
