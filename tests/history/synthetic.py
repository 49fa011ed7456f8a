"""Histories of a register that nobody stored: right by construction, until a bug is put in."""

from __future__ import annotations

import random
from typing import Any

from history.calls import UNKNOWN, Call, Refused

VERBS = ("put", "get", "get_entry", "cas", "put_if", "add", "delete", "pop", "incr", "has")


class Register:
    """One key, as it ought to be."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.version = 0
        self.seqno = 0
        self.told = 0  # the newest version that an answer bound to a value

    def write(self, value: bytes | None) -> int:
        self.seqno += 1
        self.value, self.version = value, self.seqno if value is not None else 0
        return self.seqno

    def answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        before, there = self.value, self.value is not None
        match verb:
            case "put":
                self.told = self.write(args[0])
                return self.told
            case "get":
                return before
            case "get_entry":
                self.told = self.version
                return (before, self.version) if there else None
            case "has":
                return there
            case "cas":
                return self.version == args[1] and bool(self.write(args[0]))
            case "put_if":
                if self.version != args[1]:
                    return Refused(self.version)
                self.told = self.write(args[0])
                return self.told
            case "add":
                return not there and bool(self.write(args[0]))
            case "delete":
                return there and bool(self.write(None))
            case "pop":
                if there:
                    self.write(None)
                return before
            case _:
                delta, default = args
                number = (int(before) if before is not None else default) + delta
                self.write(b"%d" % number)
                return number


def arguments(rng: random.Random, register: Register, verb: str, number: int) -> tuple[Any, ...]:
    value = b"%d" % (number << 40)
    match verb:
        case "put" | "add":
            return (value,)
        case "cas" | "put_if":
            return (value, rng.choice([register.told, register.told, 0]))
        case "incr":
            return (rng.randrange(1, 1 << 39), 0)
    return ()


class StaleRead(Register):
    """Now and then shows what was there before."""

    old: bytes | None = None

    def write(self, value: bytes | None) -> int:
        self.old = self.value
        return super().write(value)

    def answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        if verb == "get" and self.seqno % 20 == 0:
            return self.old
        return super().answer(verb, args)


class LostUpdate(Register):
    """Now and then says that it wrote, and did not."""

    def write(self, value: bytes | None) -> int:
        before = self.value, self.version
        seqno = super().write(value)
        if seqno % 20 == 0:
            self.value, self.version = before
        return seqno


class DoubleApply(Register):
    """Now and then counts twice."""

    def answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        answer = super().answer(verb, args)
        if verb == "incr" and self.seqno % 5 == 0:
            super().answer(verb, args)
        return answer


class BlindCas(Register):
    """Now and then does not look at the version."""

    def answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        if verb in ("cas", "put_if") and self.seqno % 7 == 0 and self.version:
            args = (args[0], self.version)
        return super().answer(verb, args)


class Reordered(Register):
    """Now and then lets an older write win over the newer one that ended before it began."""

    def answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        if verb == "put" and self.seqno % 9 == 8:
            kept = self.value
            answer = super().answer(verb, args)
            self.value = kept
            return answer
        return super().answer(verb, args)


class Resurrected(Register):
    """Now and then a key that was deleted is there again."""

    kept: bytes | None = None

    def answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        if verb in ("delete", "pop"):
            self.kept = self.value
        elif verb == "get" and self.value is None and self.seqno % 3 == 0:
            self.value = self.kept
        return super().answer(verb, args)


BROKEN = [StaleRead, LostUpdate, DoubleApply, BlindCas, Reordered, Resurrected]


def history(
    rng: random.Random,
    count: int,
    callers: int,
    key: bytes = b"k",
    *,
    lost: float = 0.0,
    kind: type[Register] = Register,
) -> list[Call]:
    """Return calls by so many callers at once; each took effect somewhere between its ends.

    A part of the calls, `lost`, has no answer; half of those never took effect.
    """
    register, calls = kind(), list[Call]()
    free = [0] * callers  # when each caller's last call ended
    now = 0
    for number in range(count):
        now += rng.randrange(1, 10)
        who = min(range(callers), key=free.__getitem__)
        now = max(now, free[who] + 1)
        start = rng.randrange(free[who], now)
        verb = rng.choice(VERBS)
        args = arguments(rng, register, verb, number + 1)
        end = now + rng.randrange(1, 10 * callers)
        free[who] = end + 1
        if rng.random() < lost:
            told = register.told
            if rng.random() < 0.5:
                register.answer(verb, args)
            register.told = told  # nobody was
            answer: Any = UNKNOWN
        else:
            answer = register.answer(verb, args)
        calls.append(Call(start, end, who, verb, key, args, answer))
    return calls
