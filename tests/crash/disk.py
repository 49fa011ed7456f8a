"""What a disk may hold after a power cut, in the strict model.

Of everything since the last completed sync of a file, any subset of 512-byte sectors may have
landed, in any version; each change of size may or may not have happened; a name that was made,
moved or removed is certain only after its directory was synced. A sync that failed made nothing
of a file's data durable, and no later sync makes up for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SECTOR = 512
BLANK = bytes(SECTOR)
Sectors = dict[int, bytes]


@dataclass(slots=True)
class Change:
    """One unsynced change of a file: new sectors, a stretch that became zeros, a new size."""

    order: int
    sectors: Sectors = field(default_factory=dict)
    blank: range = range(0)
    end: int = 0  # a write reaches this far
    size: int | None = None  # a truncation sets it
    doomed: bool = False  # a sync of it failed
    void: set[int] = field(
        default_factory=set
    )  # blank sectors that durable newer changes overwrote

    def apply(self, sectors: Sectors, keep: Callable[[int], bool] | None = None) -> None:
        if self.blank:
            touched = (
                self.blank
                if len(self.blank) < len(sectors)
                else [n for n in sectors if n in self.blank]
            )
            for n in touched:
                if n not in self.void and (keep is None or keep(n)):
                    sectors.pop(n, None)
        for n, data in self.sectors.items():
            if keep is None or keep(n):
                sectors[n] = data

    def resize(self, sectors: Sectors, size: int) -> int:
        if self.size is None:
            return max(size, self.end)
        cut(sectors, self.size, size)
        return self.size

    def forget(self, newer: "Change") -> None:
        """Drop what a durable newer change has overwritten."""
        for n in [n for n in self.sectors if n in newer.sectors or n in newer.blank]:
            del self.sectors[n]
        self.void.update(n for n in newer.sectors if n in self.blank)
        first, end = (
            max(self.blank.start, newer.blank.start),
            min(self.blank.stop, newer.blank.stop),
        )
        self.void.update(range(first, end))


def cut(sectors: Sectors, size: int, old_size: int) -> None:
    """Take away every byte from `size` on."""
    if size >= old_size:
        return
    for n in [n for n in sectors if n >= size // SECTOR]:
        keep = size - n * SECTOR
        if keep > 0:
            sectors[n] = sectors[n][:keep] + bytes(SECTOR - keep)
        else:
            del sectors[n]


class File:
    """One file: what programs see, what is surely on disk, and the changes between."""

    def __init__(self, content: bytes = b"") -> None:
        self.seen: Sectors = {}
        self.seen_size = 0
        self.pending: list[Change] = []
        if content:
            self.write(0, 0, content, len(content))
        self.pending.clear()
        self.durable: Sectors = dict(self.seen)
        self.durable_size = self.seen_size

    def write(self, order: int, offset: int, data: bytes | None, length: int) -> None:
        """Take in a write; None stands for zeros."""
        change = Change(order, end=offset + length)
        first, last = -(-offset // SECTOR), (offset + length) // SECTOR
        if data is None and first < last:
            change.blank = range(first, last)
        for n in range(offset // SECTOR, -(-(offset + length) // SECTOR)):
            if n not in change.blank:
                change.sectors[n] = self._version(
                    n, offset, data if data is not None else bytes(length)
                )
        self._take(change)

    def _version(self, n: int, offset: int, data: bytes) -> bytes:
        """Sector n as it reads once `data` stands at `offset`."""
        start = n * SECTOR - offset
        piece = data[max(start, 0) : start + SECTOR]
        if len(piece) == SECTOR:
            return piece
        old = self.seen.get(n, BLANK)
        at = max(-start, 0)
        return old[:at] + piece + old[at + len(piece) :]

    def truncate(self, order: int, size: int) -> None:
        self._take(Change(order, size=size))

    def extend(self, order: int, end: int) -> None:
        self._take(Change(order, end=end))

    def _take(self, change: Change) -> None:
        change.apply(self.seen)
        self.seen_size = change.resize(self.seen, self.seen_size)
        self.pending.append(change)

    def synced(self, until: int) -> None:
        """Make durable what was there at `until`, except what an earlier sync failed to write."""
        done = [c for c in self.pending if c.order <= until and not c.doomed]
        self._settle(done)

    def failed(self, until: int) -> None:
        for change in self.pending:
            change.doomed = change.doomed or change.order <= until

    def synced_write(self, order: int) -> None:
        """Only the write `order` is durable (O_DSYNC)."""
        self._settle([c for c in self.pending if c.order == order])

    def _settle(self, done: list[Change]) -> None:
        settled = {c.order for c in done}
        self.pending = [c for c in self.pending if c.order not in settled]
        for change in done:
            change.apply(self.durable)
            self.durable_size = change.resize(self.durable, self.durable_size)
            for older in self.pending:
                if older.order < change.order:
                    older.forget(change)


@dataclass(slots=True)
class NameChange:
    """A name that appeared (node set), moved (both names) or went (node None)."""

    order: int
    name: str
    node: "Node | None" = None
    moved_from: str = ""

    def apply(self, names: "dict[str, Node]") -> None:
        names.pop(self.moved_from, None)
        if self.node is None:
            names.pop(self.name, None)
        else:
            names[self.name] = self.node


class Directory:
    """One directory: the names programs see, the names surely on disk, and the changes between."""

    def __init__(self, names: "dict[str, Node] | None" = None) -> None:
        self.seen: dict[str, Node] = dict(names or {})
        self.durable: dict[str, Node] = dict(self.seen)
        self.pending: list[NameChange] = []

    def change(self, change: NameChange) -> None:
        change.apply(self.seen)
        self.pending.append(change)

    def synced(self, until: int) -> None:
        for change in self.pending:
            if change.order <= until:
                change.apply(self.durable)
        self.pending = [c for c in self.pending if c.order > until]

    def failed(self, until: int) -> None:
        """Names live in the file system's journal: a sync that works later carries them too."""


Node = File | Directory


def walk(directory: Directory, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every file and directory that programs see, parents first."""
    for name, node in directory.seen.items():
        yield path + name, node
        if isinstance(node, Directory):
            yield from walk(node, path + name + "/")
