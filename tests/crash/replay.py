"""Replays a trace into the model disk, and writes out what a crash could leave of it."""

import os
from pathlib import Path

from .cuts import Cut
from .disk import SECTOR, Directory, File, NameChange, Node, Sectors, walk
from .trace import CREATED, FAILED, RANGE, TRUNCATED, Event, Kind

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16  # fallocate's mode bits


class BlindSpotError(Exception):
    """The trace holds a call that this model cannot follow."""


def load(path: Path) -> Node:
    """A directory or file that is on disk for sure, as the start of a trace."""
    if path.is_dir():
        return Directory({entry.name: load(entry) for entry in sorted(path.iterdir())})
    return File(path.read_bytes())


class Template:
    """A finished store, to be copied many times: only sectors that are not blank are written."""

    def __init__(self, path: Path) -> None:
        self._replayer = Replayer(path, path)

    def copy(self, target: Path) -> Path:
        self._replayer.build(Cut(), target)
        return target


class Replayer:
    """The state below one root after the events fed so far."""

    def __init__(self, root: Path, base: Path | None = None) -> None:
        self.root_path = os.path.realpath(root)
        loaded = load(base) if base else Directory()
        assert isinstance(loaded, Directory)
        self.root = loaded
        self.marks = b""
        self.order = 0
        self._files: dict[int, File] = {}
        self._begun: dict[int, int] = {}
        self._written: dict[int, int] = {}

    def feed(self, event: Event) -> None:
        self.order += 1
        match event.kind:
            case Kind.OPEN:
                self._open(event)
            case Kind.WRITE:
                self._written[event.serial] = self.order
                self._files[event.file].write(self.order, event.offset, event.data, event.length)
            case Kind.SYNC_BEGIN:
                self._begun[event.serial] = self.order
            case Kind.SYNC_END:
                self._sync(event)
            case Kind.TRUNCATE:
                self._files[event.file].truncate(self.order, event.offset)
            case Kind.ALLOCATE:
                self._allocate(event)
            case Kind.RENAME:
                self._rename(*event.path.split("\n"))
            case Kind.LINK:
                source, target = event.path.split("\n")
                self._name(target, self._node(source))
            case Kind.UNLINK:
                self._name(event.path, None)
            case Kind.MKDIR:
                self._name(event.path, Directory())
            case Kind.MARK:
                self.marks += event.data or b""

    def _node(self, path: str) -> Node | None:
        node: Node | None = self.root
        for part in os.path.relpath(path, self.root_path).split("/"):
            if part != ".":
                node = node.seen.get(part) if isinstance(node, Directory) else None
        return node

    def _parent(self, path: str) -> Directory:
        parent = self._node(os.path.dirname(path))
        if not isinstance(parent, Directory):
            raise BlindSpotError(f"{path}: nobody made its directory")
        return parent

    def _open(self, event: Event) -> None:
        if event.flags & CREATED:
            self._files[event.file] = file = File()
            self._name(event.path, file)
            return
        node = self._node(event.path)
        if node is None:
            raise BlindSpotError(f"{event.path}: opened, but nobody made it")
        if isinstance(node, File):
            self._files[event.file] = node
            if event.flags & TRUNCATED:
                node.truncate(self.order, 0)

    def _sync(self, event: Event) -> None:
        if event.flags & RANGE:
            self._files[event.file].synced_write(self._written[event.serial])
            return
        node = self._files.get(event.file) or self._node(event.path)
        if isinstance(node, File) and isinstance(self._node(event.path), Directory):
            node = self._node(event.path)  # the number of a removed file now belongs to a directory
        if node is None:
            raise BlindSpotError(f"{event.path}: synced, but nobody made it")
        (node.failed if event.flags & FAILED else node.synced)(self._begun[event.serial])

    def _allocate(self, event: Event) -> None:
        mode, file = event.flags >> 8, self._files[event.file]
        if mode & ~(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE):
            raise BlindSpotError(f"fallocate with mode {mode}")
        if mode & (PUNCH_HOLE | ZERO_RANGE):
            length = (
                min(event.length, max(file.seen_size - event.offset, 0))
                if mode & KEEP_SIZE
                else event.length
            )
            file.write(self.order, event.offset, None, length)
        elif not mode & KEEP_SIZE:
            file.extend(self.order, event.offset + event.length)

    def _rename(self, source: str, target: str) -> None:
        parent = self._parent(target)
        if self._parent(source) is not parent:
            raise BlindSpotError(f"rename between directories: {source} to {target}")
        moved, name = os.path.basename(source), os.path.basename(target)
        parent.change(NameChange(self.order, name, parent.seen[moved], moved))

    def _name(self, path: str, node: Node | None) -> None:
        self._parent(path).change(NameChange(self.order, os.path.basename(path), node))

    def pending_orders(self) -> list[int]:
        """The orders of all changes that a crash could still take back."""
        nodes = [self.root, *(node for _, node in walk(self.root))]
        return [change.order for node in nodes for change in node.pending]

    def pending_by_disk(self) -> dict[str, list[int]]:
        """The same for each directory of the root; "" stands for the names in the root itself."""
        found = {"": [change.order for change in self.root.pending]}
        for path, node in walk(self.root):
            disk = path.partition("/")[0] if "/" in path or isinstance(node, Directory) else ""
            found.setdefault(disk, []).extend(change.order for change in node.pending)
        return found

    def build(self, cut: Cut, target: Path) -> None:
        """Write what `cut` leaves of the present moment into the new directory `target`."""
        self._build(self.root, cut, target)

    def _build(self, directory: Directory, cut: Cut, target: Path) -> None:
        target.mkdir(mode=0o700)
        names = dict(directory.durable)
        for change in directory.pending:
            if cut.keeps_name(change):
                change.apply(names)
        for name, node in names.items():
            if isinstance(node, Directory):
                self._build(node, cut.below(name), target / name)
            else:
                write_file(target / name, *survivors(node, cut))


def survivors(file: File, cut: Cut) -> tuple[Sectors, int]:
    """The sectors and the size that `cut` leaves of a file."""
    if not file.pending:
        return file.durable, file.durable_size
    sectors, size = dict(file.durable), file.durable_size
    for change in file.pending:
        keep = cut.sectors(change)
        if keep is not None:
            change.apply(sectors, keep)
        if cut.keeps_size(change):
            size = change.resize(sectors, size)
    return sectors, size


def write_file(path: Path, sectors: Sectors, size: int) -> None:
    """Write a sparse file, neighbouring sectors in one call."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        run: list[bytes] = []
        last = -2
        for n in sorted(n for n in sectors if n * SECTOR < size):
            if n != last + 1 and run:
                os.pwrite(fd, b"".join(run), (last + 1 - len(run)) * SECTOR)
                run = []
            run.append(sectors[n])
            last = n
        if run:
            os.pwrite(fd, b"".join(run), (last + 1 - len(run)) * SECTOR)
        os.ftruncate(fd, size)
    finally:
        os.close(fd)
