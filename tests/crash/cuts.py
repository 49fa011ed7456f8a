"""Which of the unsynced changes survive a power cut: one class per way of cutting."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from .disk import Change, NameChange

Keep = Callable[[int], bool]


def every(_sector: int) -> bool:
    return True


class Cut:
    """Everything survives, as after kill -9. Subclasses take things away."""

    def keeps_name(self, change: NameChange) -> bool:
        return True

    def keeps_size(self, change: Change) -> bool:
        return True

    def sectors(self, change: Change) -> Keep | None:
        """Which sectors of this change landed; None when none did."""
        return every

    def below(self, _name: str) -> "Cut":
        """The cut of a directory in this one."""
        return self

    def __str__(self) -> str:
        return type(self).__name__


class Everything(Cut):
    pass


class Nothing(Cut):
    """Only what was synced survives."""

    def keeps_name(self, change: NameChange) -> bool:
        return False

    def keeps_size(self, change: Change) -> bool:
        return False

    def sectors(self, change: Change) -> Keep | None:
        return None


class NoNames(Cut):
    """All data, but no name change that its directory did not sync."""

    def keeps_name(self, change: NameChange) -> bool:
        return False


class NamesOnly(Nothing):
    """All names, and none of the unsynced data: a rename that overtook its file."""

    def keeps_name(self, change: NameChange) -> bool:
        return True


@dataclass
class Prefix(Cut):
    """The changes up to one of them, in the order of the program."""

    last: int

    def keeps_name(self, change: NameChange) -> bool:
        return change.order <= self.last

    def keeps_size(self, change: Change) -> bool:
        return change.order <= self.last

    def sectors(self, change: Change) -> Keep | None:
        return every if change.order <= self.last else None


@dataclass
class TornLast(Cut):
    """All but part of the newest change: its first sectors, or its last ones."""

    newest: int
    share: float
    front: bool

    def sectors(self, change: Change) -> Keep | None:
        if change.order != self.newest:
            return every
        touched = sorted([*change.sectors, *change.blank])
        count = int(len(touched) * self.share)
        kept = frozenset(touched[:count] if self.front else touched[len(touched) - count :])
        return kept.__contains__


@dataclass
class Scattered(Cut):
    """Each sector, size and name by a coin of its own: any subset in any order."""

    seed: int
    odds: float
    _coins: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._coins = random.Random(self.seed)

    def _falls(self, _n: int = 0) -> bool:
        return self._coins.random() < self.odds

    def keeps_name(self, change: NameChange) -> bool:
        return self._falls()

    def keeps_size(self, change: Change) -> bool:
        return self._falls()

    def sectors(self, change: Change) -> Keep | None:
        return self._falls


@dataclass
class SomeNames(Scattered):
    """All data, and each name change by a coin of its own."""

    def keeps_size(self, change: Change) -> bool:
        return True

    def sectors(self, change: Change) -> Keep | None:
        return every


def cuts_at(pending_orders: list[int], seed: int, scattered: int = 2) -> list[Cut]:
    """Ways to cut a moment at which the changes `pending_orders` are unsynced; one if none are."""
    if not pending_orders:
        return [Nothing()]
    coins = random.Random(seed)
    newest = max(pending_orders)
    found: list[Cut] = [Nothing(), Everything(), NoNames(), NamesOnly()]
    found.append(Prefix(coins.choice(pending_orders)))
    found.append(TornLast(newest, coins.random(), coins.random() < 0.5))
    found.append(SomeNames(coins.getrandbits(32), 0.5))
    found += [
        Scattered(coins.getrandbits(32), coins.choice((0.1, 0.5, 0.9))) for _ in range(scattered)
    ]
    return found


@dataclass
class Apart(Cut):
    """Each directory of the root is a disk of its own; "" stands for what lies in the root itself."""

    disks: dict[str, Cut]

    def keeps_name(self, change: NameChange) -> bool:
        return self.disks[""].keeps_name(change)

    def keeps_size(self, change: Change) -> bool:
        return self.disks[""].keeps_size(change)

    def sectors(self, change: Change) -> Keep | None:
        return self.disks[""].sectors(change)

    def below(self, name: str) -> Cut:
        return self.disks[name]

    def __str__(self) -> str:
        return ", ".join(f"{name or '.'}: {cut}" for name, cut in self.disks.items())


def cuts_apart(pending: dict[str, list[int]], seed: int, mixed: int = 8) -> list[Cut]:
    """Ways to cut several disks at one moment, each in its own way; those without changes alike."""
    coins = random.Random(seed)
    busy = [name for name, orders in pending.items() if orders]
    found: list[Cut] = [Apart(dict.fromkeys(pending, Nothing()))]
    for name in busy:
        others: dict[str, Cut] = dict.fromkeys(pending, Everything())
        found.append(Apart({**others, name: Nothing()}))
        found.append(Apart({**dict.fromkeys(pending, Nothing()), name: Everything()}))
    for _ in range(mixed if busy else 0):
        ways = {name: cuts_at(orders, coins.getrandbits(32)) for name, orders in pending.items()}
        found.append(Apart({name: coins.choice(cuts) for name, cuts in ways.items()}))
    return found
