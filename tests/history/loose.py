"""A store of lists in memory, with transactions that are right, or wrong in one known way."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from history.cycles import ABORTED, COMMITTED, Key, Read, Txn

KEYS = [b"%d" % n for n in range(5)]


@dataclass
class Running:
    """A transaction under way."""

    txn: Txn
    cut: int
    left: int
    base: dict[Key, Read] = field(default_factory=dict)
    own: dict[Key, Read] = field(default_factory=dict)
    reads: set[Key] = field(default_factory=set)


class Lists:
    """Versions of lists, and transactions on them that take turns. `flaw` names what is left out."""

    def __init__(self, rng: random.Random, flaw: str = "") -> None:
        self._rng, self._flaw = rng, flaw
        self._versions: dict[Key, list[tuple[int, Read]]] = {key: [(0, ())] for key in KEYS}
        self._time = self._number = 0
        self.txns: list[Txn] = []

    def now(self) -> int:
        self._time += 1
        return self._time

    def final(self) -> dict[Key, Read]:
        """Return every list as it is now."""
        return {key: versions[-1][1] for key, versions in self._versions.items()}

    def run(self, count: int) -> None:
        """Run so many transactions, five at a time."""
        running: list[Running] = []
        while len(self.txns) < count or running:
            if len(running) < 5 and len(self.txns) < count:
                running.append(self._begin())
                continue
            one = self._rng.choice(running)
            if one.left:
                one.left -= 1
                self._act(one, running)
            else:
                running.remove(one)
                self._end(one)

    def _begin(self) -> Running:
        txn = Txn(f"T{len(self.txns)}", self.now())
        self.txns.append(txn)
        stale = self._flaw == "stale cut" and self._rng.random() < 0.1
        return Running(
            txn, max(0, txn.start - 200) if stale else txn.start, self._rng.randrange(1, 5)
        )

    def _seen(self, one: Running, key: Key, running: list[Running]) -> Read:
        """Return what it sees of others: the newest version of its cut."""
        if key not in one.base:
            cut = self._time if self._flaw == "no cut" else one.cut
            one.base[key] = next(v for at, v in reversed(self._versions[key]) if at <= cut)
            others = [other for other in running if other is not one and key in other.own]
            if self._flaw == "dirty read" and others:
                one.base[key] += others[0].own[key]
        return one.base[key]

    def _act(self, one: Running, running: list[Running]) -> None:
        key = self._rng.choice(KEYS)
        base = self._seen(one, key, running)
        if self._rng.random() < 0.5:
            one.reads.add(key)
            one.txn.acts.append(("read", key, base + one.own.get(key, ())))
            return
        self._number += 1
        one.own[key] = (*one.own.get(key, ()), self._number)
        one.txn.acts.append(("append", key, self._number))

    def _end(self, one: Running) -> None:
        judged = {"no check": set(), "write skew": set(one.own)}.get(self._flaw, set(one.base))
        if not one.own:
            judged = set()  # it only read
        at = self.now()
        late = any(self._versions[key][-1][0] > one.cut for key in judged)
        one.txn.outcome = ABORTED if late else COMMITTED
        if not late or (self._flaw == "aborted write" and self._rng.random() < 0.2):
            for key, numbers in one.own.items():
                if self._flaw == "half commit" and self._rng.random() < 0.1:
                    continue
                self._versions[key].append((at, one.base[key] + numbers))
        one.txn.end = self.now()
