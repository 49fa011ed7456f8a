"""Are transactions that read lists and append to them as if one came after the other, in the order of time?

From the lists alone one knows who wrote before whom, who read from whom, and who read before whose
write (Kingsbury and Alvaro, Elle, 2020). A circle in what has to come first is a broken promise; its
name, after Adya, says which one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

COMMITTED, ABORTED, UNKNOWN = "committed", "aborted", "unknown"
Key = bytes
Read = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Txn:
    """One transaction: what it did in its order, and how it ended. Nobody appends a number twice."""

    name: str
    start: int
    end: int = 0
    outcome: str = COMMITTED
    acts: list[tuple[Literal["append"], Key, int] | tuple[Literal["read"], Key, Read]] = field(
        default_factory=list
    )

    def __repr__(self) -> str:
        done = ", ".join(
            f"{verb} {key!r} {what}" if verb == "append" else f"{key!r} was {[*what][-4:]}"  # type: ignore[misc]
            for verb, key, what in self.acts
        )
        return f"{self.name} [{self.start}..{self.end}] {self.outcome}: {done}"


class AnomalyError(AssertionError):
    """What was seen cannot have been one after the other. `kind` names it."""

    def __init__(self, kind: str, reason: str, txns: Iterable[Txn] = ()) -> None:
        super().__init__("\n".join([f"{kind}: {reason}", *(f"  {txn}" for txn in txns)]))
        self.kind = kind


Edges = dict[Txn, dict[Txn, str]]


class History:
    """What the transactions tell about the lists."""

    def __init__(self, txns: list[Txn]) -> None:
        self.txns = txns
        self.writer: dict[tuple[Key, int], Txn] = {}
        self.last_of: dict[tuple[Txn, Key], int] = {}
        self.reads: dict[Txn, dict[Key, Read]] = {}
        self.order: dict[Key, Read] = {}
        for txn in txns:
            self._take_appends(txn)
        for txn in txns:
            self._take_reads(txn)

    def _take_appends(self, txn: Txn) -> None:
        for verb, key, what in txn.acts:
            if verb == "append":
                assert isinstance(what, int)
                assert (key, what) not in self.writer, "numbers have to be unique"
                self.writer[key, what] = txn
                self.last_of[txn, key] = what

    def _take_reads(self, txn: Txn) -> None:
        """Take what it saw of others; its own appends have to be there, behind."""
        own: dict[Key, list[int]] = defaultdict(list)
        seen = self.reads.setdefault(txn, {})
        for _verb, key, what in txn.acts:
            if isinstance(what, int):
                own[key].append(what)
                continue
            there = len(what) - len(own[key])
            if there < 0 or [*what[there:]] != own[key]:
                raise AnomalyError("internal", f"own appends {own[key]} are missing", [txn])
            others = what[:there]
            if seen.setdefault(key, others) != others:
                raise AnomalyError("internal", f"{key!r} changed under the transaction", [txn])
            self._place(txn, key, others)

    def _place(self, txn: Txn, key: Key, seen: Read) -> None:
        """Fit a list into the one order of its key."""
        known = self.order.get(key, ())
        short, long = sorted([known, seen], key=len)
        if long[: len(short)] != short:
            raise AnomalyError("incompatible order", f"{key!r} was {[*known][-9:]}, too", [txn])
        if long is not known:
            if len(set(long)) != len(long):
                raise AnomalyError("duplicate", f"{key!r} has a number twice", [txn])
            self._judge_writers(txn, key, long[len(known) :])
            self.order[key] = long
        if seen:
            self._judge_last(txn, key, seen[-1])

    def _judge_writers(self, txn: Txn, key: Key, numbers: Read) -> None:
        for number in numbers:
            writer = self.writer.get((key, number))
            if writer is None:
                raise AnomalyError("garbage", f"nobody appended {number} to {key!r}", [txn])
            if writer.outcome == ABORTED:
                raise AnomalyError("G1a", "an aborted write was read", [txn, writer])

    def _judge_last(self, txn: Txn, key: Key, number: int) -> None:
        writer = self.writer[key, number]
        if self.last_of[writer, key] != number:
            raise AnomalyError("G1b", "a write was read half done", [txn, writer])


def check_final(history: History, final: dict[Key, Read]) -> None:
    """Every committed append is in the list that was there at the end."""
    for (key, number), txn in history.writer.items():
        if txn.outcome == COMMITTED and number not in final.get(key, ()):
            raise AnomalyError("lost", f"{number} is not in {key!r}", [txn])


def edges_of(history: History) -> Edges:
    """Return who has to come before whom, and why."""
    edges: Edges = defaultdict(dict)

    def add(before: Txn, after: Txn, why: str) -> None:
        if before is not after:
            edges[before].setdefault(after, why)

    for key, numbers in history.order.items():
        writers = [history.writer[key, number] for number in numbers]
        for before, after in pairwise(writers):
            add(before, after, "ww")
    for txn, reads in history.reads.items():
        for key, seen in reads.items():
            order = history.order.get(key, ())
            if seen:
                add(history.writer[key, seen[-1]], txn, "wr")
            if len(seen) < len(order):
                add(txn, history.writer[key, order[len(seen)]], "rw")
    return edges


def add_time(history: History, edges: Edges) -> None:
    """Whoever ended before another began comes before it: by way of a chain of moments, not of all pairs."""
    ended = sorted((t for t in history.txns if t.outcome == COMMITTED), key=lambda txn: txn.end)
    chain = [Txn(f"moment {txn.end}", txn.end, txn.end) for txn in ended]
    for txn, moment in zip(ended, chain, strict=True):
        edges[txn][moment] = "time"
    for moment, later in pairwise(chain):
        edges[moment][later] = "time"
    number = -1
    for txn in sorted(history.txns, key=lambda txn: txn.start):
        while number + 1 < len(ended) and ended[number + 1].end < txn.start:
            number += 1
        if number >= 0:
            edges[chain[number]][txn] = "time"


def circle(edges: Edges) -> list[Txn] | None:
    """Return a short circle, if there is one."""
    into: dict[Txn, int] = defaultdict(int)
    for afters in edges.values():
        for after in afters:
            into[after] += 1
    free = [txn for txn in edges if not into[txn]]
    gone = set()
    while free:  # whoever nobody precedes is in no circle
        txn = free.pop()
        gone.add(txn)
        for after in edges.get(txn, ()):
            into[after] -= 1
            if not into[after]:
                free.append(after)
    left = [txn for txn in edges if txn not in gone]
    found = [path for txn in left[:200] if (path := way_back(edges, txn))]
    return min(found, key=len) if found else None


def way_back(edges: Edges, txn: Txn) -> list[Txn] | None:
    """Return the shortest way from a transaction to itself."""
    came: dict[Txn, Txn] = {}
    queue = deque([txn])
    while queue:
        here = queue.popleft()
        for after in edges.get(here, ()):
            if after is txn:
                path = [here]
                while path[-1] is not txn:
                    path.append(came[path[-1]])
                return path[::-1]
            if after not in came:
                came[after] = here
                queue.append(after)
    return None


NAMES: Final = ((frozenset({"ww"}), "G0"), (frozenset({"ww", "wr"}), "G1c"))


def name_of(reasons: list[str]) -> str:
    """Return Adya's name for a circle of these reasons."""
    plain = {reason for reason in reasons if reason != "time"}
    name = next((name for kinds, name in NAMES if plain <= kinds), None)
    name = name or ("G-single" if reasons.count("rw") == 1 else "G2")
    return f"{name} with time" if "time" in reasons else name


def check(txns: list[Txn], final: dict[Key, Read]) -> int:
    """Raise AnomalyError unless the transactions are as if one came after the other, in the order of time.

    Also an aborted one must have read from one moment. Returns how many orderings were known.
    """
    history = History(txns)
    last = Txn("the end", 1 << 62, 1 << 62, acts=[("read", k, seen) for k, seen in final.items()])
    history.txns = [*txns, last]
    history._take_reads(last)
    check_final(history, final)
    edges = edges_of(history)
    refuse_circle(edges)
    add_time(history, edges)
    refuse_circle(edges)
    return sum(map(len, edges.values()))


def refuse_circle(edges: Edges) -> None:
    """Raise AnomalyError when something has to come before itself."""
    path = circle(edges)
    if path:
        reasons = [edges[a][b] for a, b in zip(path, [*path[1:], path[0]], strict=True)]
        shown = [txn for txn in path if txn.acts]
        raise AnomalyError(name_of(reasons), " -> ".join(reasons), shown)
