"""What a history is made of: calls with the moments at which they began and ended, and what they answered."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import shardkv

FOREVER: Final = 1 << 62


class Unknown:
    """The answer of a call that failed, or that a kill cut off: it may have had its effect, or not."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer of a conditional put that met another version."""

    version: int


@dataclass(slots=True)
class Call:
    """One call on one key. Its effect lies between start and end, when it has one."""

    start: int
    end: int
    who: int
    verb: str
    key: bytes
    args: tuple[Any, ...] = ()
    answer: Any = None

    def __repr__(self) -> str:
        told = ", ".join(map(brief, (self.key, *self.args)))
        when = f"[{self.start}..{'' if self.end == FOREVER else self.end}]"
        return f"{when} {self.who}: {self.verb}({told}) -> {brief(self.answer)}"


def brief(value: object) -> str:
    """Return what identifies a value: their beginnings differ."""
    told = repr(value)
    return told if len(told) < 40 else f"{told[:36]}...({len(told)})"


Histories = dict[bytes, list[Call]]


def by_key(calls: Iterable[Call]) -> Histories:
    """Sort calls into one history for each key."""
    found: Histories = defaultdict(list)
    for call in calls:
        found[call.key].append(call)
    return dict(found)


class Recorder:
    """One caller's part of a history. Each thread has a recorder of its own."""

    def __init__(self, who: int, store: Callable[[], Any]) -> None:
        self.who, self._store = who, store
        self.calls: list[Call] = []

    def do(self, verb: str, key: bytes, *args: Any, **how: Any) -> Any:
        """Make one call and note what it answered, or that nobody knows whether it was made."""
        start = time.monotonic_ns()
        answer = attempt(self._store(), verb, key, args, how)
        self.calls.append(Call(start, time.monotonic_ns(), self.who, verb, key, args, answer))
        return answer


def attempt(store: Any, verb: str, key: bytes, args: tuple[Any, ...], how: dict[str, Any]) -> Any:
    """Make one call; an error is an answer, too."""
    try:
        return plain(PERFORM.get(verb, by_name(verb))(store, key, *args, **how))
    except shardkv.ConflictError as conflict:
        return Refused(int(conflict.version))
    except (shardkv.ClosedError, shardkv.OverloadedError, shardkv.PoisonedError):
        return UNKNOWN


def by_name(verb: str) -> Callable[..., Any]:
    return lambda store, key, *args, **how: getattr(store, verb)(key, *args, **how)


PERFORM: Final[dict[str, Callable[..., Any]]] = {
    "pop": lambda store, key: store.pop(key, None),
    "has": lambda store, key: key in store,
    "submit": lambda store, key, value: store.submit(key, value).wait(),
    "put_many": lambda store, key, value, **how: store.put_many([(key, value)], **how) and None,
    "get_many": lambda store, key: store.get_many([key]).get(key),
    "put_if": lambda store, key, value, version, **how: store.put(
        key, value, if_version=version, **how
    ),
}


def plain(answer: Any) -> Any:
    """Return an answer in a form that text can carry: an entry is a value and a version."""
    if isinstance(answer, shardkv.Entry):
        return (answer.value, answer.version)
    return answer
