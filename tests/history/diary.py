"""A history that is kept outside the process that makes it, so that a kill cannot take it away."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from crash.journal import Journal, whole_lines
from history.calls import UNKNOWN, Call, Recorder, Refused, Unknown, attempt
from history.cycles import UNKNOWN as UNKNOWN_OUTCOME
from history.cycles import Txn
from history.lists import Notes

LOST: Final = "?"


class DiaryRecorder(Recorder):
    """Notes each call before it is made, and its answer when it is known."""

    def __init__(self, who: int, store: Callable[[], Any], diary: Journal) -> None:
        super().__init__(who, store)
        self._diary = diary

    def do(self, verb: str, key: bytes, *args: Any, **how: Any) -> Any:
        """Make one call; two lines tell of it."""
        start = time.monotonic_ns()
        self._diary.note("began", self.who, start, repr((verb, key, args)))
        answer = attempt(self._store(), verb, key, args, how)
        self._diary.note("ended", self.who, time.monotonic_ns(), written(answer))
        return answer


def written(answer: Any) -> str:
    """Return an answer as text."""
    if isinstance(answer, Unknown):
        return LOST
    return repr(("refused", answer.version) if isinstance(answer, Refused) else answer)


def answered(text: str) -> Any:
    """Return the answer that a text is."""
    if text == LOST:
        return UNKNOWN
    answer = ast.literal_eval(text)
    if isinstance(answer, tuple) and answer[0] == "refused":
        return Refused(answer[1])
    return answer


def read_life(text: bytes, over: int) -> Iterator[Call]:
    """Read one life back, which was over at a moment: a call without an answer may have happened until then."""
    under_way: dict[int, Call] = {}
    for line in whole_lines(text):
        word, who, when, rest = line.split(" ", 3)
        if word == "began":
            verb, key, args = ast.literal_eval(rest)
            under_way[int(who)] = Call(int(when), over, int(who), verb, key, args, UNKNOWN)
        else:
            call = under_way.pop(int(who))
            call.end, call.answer = int(when), answered(rest)
            yield call
    yield from under_way.values()


def diary_of(path: Path) -> bytes:
    """Return what has been written so far."""
    return path.read_bytes() if path.exists() else b""


class DiaryNotes(Notes):
    """Notes of transactions that a kill cannot take away: what one did is written down before it commits."""

    def __init__(self, diary: Journal) -> None:
        super().__init__()
        self._diary = diary

    def began(self, txn: Txn) -> None:
        """Nothing is known yet that would matter after a kill."""

    def about_to_commit(self, txn: Txn) -> None:
        self._diary.note("acts", txn.name, txn.start, repr((UNKNOWN_OUTCOME, txn.acts)))

    def ended(self, txn: Txn) -> None:
        self._diary.note("ended", txn.name, txn.start, repr((txn.outcome, txn.acts, txn.end)))


def read_txns(text: bytes, over: int) -> list[Txn]:
    """Read the transactions of one life back, which was over at a moment."""
    found: dict[str, Txn] = {}
    for line in whole_lines(text):
        _, name, start, rest = line.split(" ", 3)
        outcome, acts, *end = ast.literal_eval(rest)
        found[name] = Txn(name, int(start), end[0] if end else over, outcome, acts)
    return [*found.values()]
