"""Is there one order of all calls on a key that explains every answer, and agrees with time?

The search goes through the calls in the order of time and keeps every way in which they may have
taken effect so far (Lowe, Testing for Linearizability, 2017: a call takes effect just before it
must). What makes it fast: values are unique, so an answer tells which write it saw; whoever
only looked takes effect at the first moment that suits it; versions order the writes that told them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from history.calls import FOREVER, UNKNOWN, Call, Histories, Refused

LOOKS_TRIED: Final = 300
NOBODYS: Final = object()  # the value of a version that nobody was told
EQ, NE, SET, SWAP, TAKE, ADD = range(6)
WAYS_MOST: Final = 200_000
READS: Final = frozenset({EQ, NE})


class TooWideError(Exception):
    """More ways than can be followed: fewer callers for each key, please."""


class NotLinearError(AssertionError):
    """No order explains the answers. `window` is the shortest stretch that shows it."""

    def __init__(self, reason: str, window: list[Call]) -> None:
        rows = "\n".join(f"  {call}" for call in window)
        super().__init__(f"{reason}; no order explains these {len(window)} calls:\n{rows}")
        self.window = window


@dataclass(slots=True, eq=False)
class Step:
    """A call as the search sees it: what has to be there, what is there after it."""

    call: Call
    kind: int
    wanted: tuple[Any, ...] = ()
    made: Any = None
    version: int = 0  # of what it made; 0: nobody was told
    optional: bool = False  # it may never have taken effect
    bit: int = 0

    def after(self, value: Any) -> Any:
        """Return what is there afterwards; the step itself when it cannot happen now."""
        kind = self.kind
        if kind == SET or (kind == SWAP and value in self.wanted):
            return self.made
        if kind == ADD:
            delta, default = self.wanted
            return b"%d" % ((default if value is None else int(value)) + delta)
        if kind == TAKE and value is not None:
            return None
        return self


Way = tuple[Any, int, int]  # what is there, the newest version that was told, who took effect


class Versions:
    """Which value has which version, as far as anybody was told."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.of_value: dict[bytes, int] = {}
        self.value: dict[int, bytes | None] = {0: None}
        for call in calls:
            told = told_version(call)
            if told:
                self._take(call, *told)

    def _take(self, call: Call, value: bytes, version: int) -> None:
        if self.of_value.setdefault(value, version) != version:
            raise NotLinearError(f"{value!r} had version {self.of_value[value]} before", [call])
        if self.value.setdefault(version, value) != value:
            raise NotLinearError(f"version {version} was that of {self.value[version]!r}", [call])


def told_version(call: Call) -> tuple[bytes, int] | None:
    """Return the value and the version that an answer binds together."""
    if call.answer is UNKNOWN or call.answer is None:
        return None
    if call.verb == "get_entry":
        return call.answer
    if call.verb in ("put", "submit") or (
        call.verb == "put_if" and not isinstance(call.answer, Refused)
    ):
        return (call.args[0], call.answer)
    return None


def look(call: Call, versions: Versions) -> Step | None:
    """Make the step of a call that only looks."""
    if call.answer is UNKNOWN:
        return None
    match call.verb:
        case "get" | "get_many":
            return Step(call, EQ, (call.answer,))
        case "get_entry":
            return Step(call, EQ, (call.answer and call.answer[0],))
        case _:  # has
            return Step(call, NE if call.answer else EQ, (None,))


def compare(call: Call, versions: Versions) -> Step:
    """Make the step of a write that expects a version."""
    value, expected = call.args
    wanted = (versions.value.get(expected, NOBODYS),)
    made = versions.of_value.get(value, 0)
    if call.answer is UNKNOWN:
        return Step(call, SWAP, wanted, value, made, optional=True)
    if isinstance(call.answer, Refused):
        found = call.answer.version
        if found == expected:
            raise NotLinearError("refused for the version that was expected", [call])
        if found in versions.value:
            return Step(call, EQ, (versions.value[found],))
        return Step(call, NE, (*wanted, None))
    return Step(call, SWAP, wanted, value, made) if call.answer else Step(call, NE, wanted)


def count_up(call: Call, versions: Versions) -> Step:
    """Make the step of an incr, whose answer tells what was there."""
    delta, default = call.args
    if call.answer is UNKNOWN:
        return Step(call, ADD, (delta, default), optional=True)
    made = b"%d" % call.answer
    before: tuple[Any, ...] = (b"%d" % (call.answer - delta),)
    if call.answer == default + delta:
        before = (*before, None)
    return Step(call, SWAP, before, made, versions.of_value.get(made, 0))


def change(call: Call, versions: Versions) -> Step:
    """Make the step of a call that may write."""
    answer, unknown = call.answer, call.answer is UNKNOWN
    match call.verb:
        case "put" | "submit" | "put_many":
            value = call.args[0]
            return Step(call, SET, (), value, versions.of_value.get(value, 0), unknown)
        case "cas" | "put_if":
            return compare(call, versions)
        case "incr":
            return count_up(call, versions)
        case "add":
            if answer is False:
                return Step(call, NE, (None,))
            value = call.args[0]
            return Step(call, SWAP, (None,), value, versions.of_value.get(value, 0), unknown)
        case _ if unknown:
            return Step(call, SET, optional=True)
        case "delete":
            return Step(call, TAKE) if answer else Step(call, EQ, (None,))
        case "pop":
            return Step(call, EQ if answer is None else SWAP, (answer,))
    raise ValueError(call.verb)


LOOKS: Final = frozenset({"get", "get_many", "get_entry", "has"})


def steps_of(calls: Iterable[Call]) -> list[Step]:
    """Turn the calls on one key into steps; a look that failed tells nothing."""
    calls = list(calls)
    versions = Versions(calls)
    found = (look(c, versions) if c.verb in LOOKS else change(c, versions) for c in calls)
    return [step for step in found if step]


def suits(step: Step, value: Any) -> bool:
    return (value in step.wanted) == (step.kind == EQ)


class Hints:
    """What the answers say beforehand about values that were made only once, and so never come back.

    Nobody but its one sure taker takes such a value away, and nobody before the last look at it began.
    """

    def __init__(self, steps: list[Step], first: bytes | None = None) -> None:
        self.taker: dict[bytes, Step] = {}
        self.looked_at: dict[bytes, int] = {}
        if any(step.kind == ADD for step in steps):
            return  # what it made is not known
        made = Counter(step.made for step in steps if step.kind not in READS)
        made[first] += 1
        for step in steps:
            value = step.wanted[0] if len(step.wanted) == 1 else None
            if step.optional or value is None or made[value] != 1:
                continue
            if step.kind == SWAP:
                self.taker[value] = step
            elif step.kind == EQ:
                self.looked_at[value] = max(self.looked_at.get(value, 0), step.call.start)


class Search:
    """All ways so far, and the calls that are under way."""

    def __init__(self, ways: set[Way], hints: Hints) -> None:
        self.ways = ways
        self._taker, self._looked_at = hints.taker, hints.looked_at
        self._looks: dict[int, Step] = {}
        self._writes: dict[int, Step] = {}
        self._free: list[int] = []
        self._next = 1

    def alone(self, step: Step) -> bool:
        """Let a call happen that was under way by itself; say whether any way is left."""
        wanted, same = step.wanted, step.kind == EQ
        if step.kind in READS:
            self.ways = {way for way in self.ways if (way[0] in wanted) == same}
            return bool(self.ways)
        over = self.ways if step.optional else set[Way]()
        version = step.version
        for value, top, _ in self.ways:
            made = step.after(value)
            if made is not step and (not version or top < version):
                over = over | {(made, version or top, 0)}
        self.ways = over
        return bool(over)

    def begin(self, step: Step) -> None:
        """Take a call in that began."""
        if self._free:
            step.bit = self._free.pop()
        else:
            step.bit, self._next = self._next, self._next << 1
        if step.kind not in READS:
            self._writes[step.bit] = step
            return
        self._looks[step.bit] = step
        bit, wanted, same = step.bit, step.wanted, step.kind == EQ
        self.ways = {
            (value, top, done | bit if (value in wanted) == same else done)
            for value, top, done in self.ways
        }

    def end(self, step: Step) -> bool:
        """Let a call end; say whether any way is left."""
        bit, over = step.bit, set[Way]()
        for way in self.ways:
            if way[2] & bit:
                over.add(way)
                continue
            if step.optional:
                over.add(way)
            self._make_happen(step, way, over)
        self._looks.pop(bit, None)
        self._writes.pop(bit, None)
        self.ways = {(value, top, done & ~bit) for value, top, done in over}
        self._free.append(bit)
        return bool(self.ways)

    def _make_happen(self, step: Step, way: Way, over: set[Way]) -> None:
        """Add every way that leads from here to where the step has just taken effect."""
        seen, left = {way}, [way]
        while left:
            for found in self._next_ways(left.pop(), step.call.end):
                if found[2] & step.bit:
                    over.add(found)
                elif found not in seen:
                    seen.add(found)
                    left.append(found)
            if len(seen) > WAYS_MOST:
                raise TooWideError(f"{len(self._writes)} writes of {step.call.key!r} at once")

    def _next_ways(self, way: Way, now: int) -> Iterator[Way]:
        value, top, done = way
        if self._looked_at.get(value, 0) > now:
            return
        taker = self._taker.get(value)
        waiting = [step for bit, step in self._writes.items() if not done & bit]
        first = min((s.version for s in waiting if s.version and not s.optional), default=FOREVER)
        for step in waiting if taker is None else [taker] if taker in waiting else []:
            made = step.after(value)
            if made is step or (step.version and not top < step.version <= first):
                continue
            marks = done | step.bit
            for bit, seen in self._looks.items():
                if (made in seen.wanted) == (seen.kind == EQ):
                    marks |= bit
            yield (made, step.version or top, marks)


def crowds(steps: list[Step]) -> Iterator[list[Step]]:
    """Cut the steps where nothing was under way."""
    crowd: list[Step] = []
    last = -1
    for step in sorted(steps, key=lambda step: step.call.start):
        if crowd and step.call.start > last:
            yield crowd
            crowd = []
        crowd.append(step)
        last = max(last, step.call.end)
    if crowd:
        yield crowd


def events_of(crowd: list[Step]) -> list[tuple[int, int, int]]:
    """Return when each step begins (0) and ends (1), in the order of time; a tie is no order."""
    found = [(step.call.start, 0, number) for number, step in enumerate(crowd)]
    found += [(step.call.end, 1, number) for number, step in enumerate(crowd)]
    found.sort()
    return found


def first_failure(steps: list[Step], ways: set[Way], hints: Hints) -> tuple[Step, set[Way]] | None:
    """Return the step whose end leaves no way, and the ways there were; None when all is well."""
    search = Search(ways, hints)
    for crowd in crowds(steps):
        before = search.ways
        if len(crowd) == 1:
            if not search.alone(crowd[0]):
                return crowd[0], before
            continue
        for _, over, number in events_of(crowd):
            before = search.ways
            if not over:
                search.begin(crowd[number])
            elif not search.end(crowd[number]):
                return crowd[number], before
    return None


def check_key(calls: Iterable[Call], first: bytes | None = None) -> None:
    """Raise NotLinearError unless one order explains the calls on one key, which held `first` before."""
    steps = steps_of(calls)
    start: set[Way] = {(first, 0, 0)}
    if first_failure(steps, start, Hints(steps, first)):
        failed, ways = first_failure(steps, start, NO_HINTS)
        told = sorted({repr(way[0]) for way in ways})
        reason = f"when {failed.call} ended, there can only have been {', '.join(told)} before it"
        raise NotLinearError(reason, window(steps, failed, start))


def check(histories: Histories, first: dict[bytes, bytes] | None = None) -> int:
    """Check every key by itself; return how many calls there were."""
    for key, calls in histories.items():
        check_key(calls, (first or {}).get(key))
    return sum(map(len, histories.values()))


NO_HINTS: Final = Hints([])


# -- the shortest story of a failure


def any_way(steps: list[Step]) -> set[Way]:
    """Return a way for everything that may have been there."""
    values = {step.made for step in steps} | {v for step in steps for v in step.wanted} | {None}
    return {(value, 0, 0) for value in values if value is None or isinstance(value, bytes)}


def loosened(steps: list[Step], begin: int) -> list[Step]:
    """Return the steps from a moment on; what was under way then may be over already."""
    found = [step for step in steps if step.call.start >= begin]
    for step in steps:
        if step.call.start < begin <= step.call.end and step.kind not in READS:
            found.append(replace(step, optional=True))
    return found


def fails(steps: list[Step], ways: set[Way], upto: int) -> bool:
    failure = first_failure(steps, ways, NO_HINTS)
    return failure is not None and failure[0].call.end <= upto


def window(steps: list[Step], failed: Step, first: set[Way]) -> list[Call]:
    """Return the latest stretch that fails whatever was there before, without looks that prove nothing."""
    upto = failed.call.end
    past = [step for step in steps if step.call.start <= upto]
    begins = sorted(step.call.start for step in past)
    low, high = -1, len(begins)  # -1: only what was there at first shows it
    while high - low > 1:
        middle = (low + high) // 2
        stretch = loosened(past, begins[middle])
        low, high = (middle, high) if fails(stretch, any_way(stretch), upto) else (low, middle)
    shown, ways = past, first
    if low >= 0:
        shown = loosened(past, begins[low])
        ways = any_way(shown)
    for step in [step for step in shown if step.kind in READS][:LOOKS_TRIED]:
        others = [other for other in shown if other is not step]
        if fails(others, ways, upto):
            shown = others
    return [step.call for step in sorted(shown, key=lambda step: step.call.start)]
