"""Reads what the shim recorded: `struct event` of shim.c, then a path, then data."""

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER = struct.Struct("<IHHQQQQII")
MAGIC = 0x564B5331


class Kind(enum.IntEnum):
    OPEN = 1
    WRITE = 2
    SYNC_BEGIN = 3
    SYNC_END = 4
    TRUNCATE = 5
    ALLOCATE = 6
    RENAME = 7
    UNLINK = 8
    MKDIR = 9
    MARK = 10
    MAPPED = 11
    LINK = 12


CREATED, TRUNCATED, ZEROS, FAILED, RANGE = 1, 2, 4, 8, 16
QUIET = frozenset(
    {Kind.SYNC_BEGIN, Kind.MARK, Kind.MAPPED}
)  # they change nothing that a crash could show


@dataclass(frozen=True, slots=True)
class Event:
    kind: Kind
    flags: int
    serial: int
    file: int
    offset: int
    length: int
    path: str
    data: bytes | None  # None: `length` zeros

    def __str__(self) -> str:
        where = f"{self.path or self.file} offset {self.offset} length {self.length}"
        return f"{self.kind.name} {where} flags {self.flags}"


def read_trace(path: Path) -> Iterator[Event]:
    """Every whole event; a last one cut short by a kill is left out."""
    raw = memoryview(path.read_bytes())
    at = 0
    while at + HEADER.size <= len(raw):
        magic, kind, flags, serial, file, offset, length, name_bytes, data_bytes = (
            HEADER.unpack_from(raw, at)
        )
        if magic != MAGIC:
            raise ValueError(f"{path}: no event at byte {at}")
        name_at = at + HEADER.size
        data_at = name_at + name_bytes
        at = data_at + data_bytes
        if at > len(raw):
            return
        name = bytes(raw[name_at:data_at]).decode("utf-8", "surrogateescape")
        data = None if flags & ZEROS else bytes(raw[data_at:at])
        yield Event(Kind(kind), flags, serial, file, offset, length, name, data)
