"""Exports: records that a directory had and its family's primary lacks, in a file of their own. FORMAT.md 15."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import msgpack
import xxhash

from shardkv.errors import CorruptionError, FormatError, InvalidError

MAGIC = "shardkv export"
READ_BYTES = 1 << 20
RECORD_BYTES_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    """One put or delete of an export.

    Attributes:
        seqno: that it had.
        key: as bytes; keys of namespaces begin with four bytes 0xff.
        value: what was put; None: the key was deleted.
        expires_ms: Unix time in ms at which it expires; 0: never.
        deleted: whether it is a delete.
    """

    seqno: int
    key: bytes
    value: bytes | None
    expires_ms: int
    deleted: bool


class Writer:
    """An export being written to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sum, self._packer = file, xxhash.xxh64(), msgpack.Packer()
        self.records = 0

    def put(self, what: dict[str, Any]) -> None:
        """Write one map."""
        blob = self._packer.pack(what)
        self._sum.update(blob)
        self._file.write(blob)

    def record(self, record: ExportedRecord) -> None:
        """Write one record."""
        self.put(asdict(record))
        self.records += 1

    def end(self) -> None:
        """Write what proves that all of it is there, and sync."""
        self._file.write(
            self._packer.pack({"records": self.records, "checksum": self._sum.intdigest()})
        )
        self._file.flush()
        os.fsync(self._file.fileno())


def write_export(path: str, header: dict[str, Any], records: Iterable[ExportedRecord]) -> int:
    """Write an export, durable when this returns; return its number of records. One that is there is never replaced.

    Raises: InvalidError (there is a file of other contents), OSError.
    """
    temporary = f"{path}.new"
    with open(temporary, "wb") as file:
        writer = Writer(file)
        writer.put({"format": MAGIC, "version": 1, **header})
        for record in records:
            writer.record(record)
        writer.end()
    try:
        os.link(temporary, path)
    except FileExistsError:
        if not same(temporary, path):
            raise InvalidError(
                f"{path} exists, and is something else: an export needs a name of its own"
            ) from None
        sync_file(path)
    finally:
        os.unlink(temporary)
    sync_file(os.path.dirname(path))
    return writer.records


def same(one: str, other: str) -> bool:
    """Say whether two files hold the same bytes."""
    with open(one, "rb") as first, open(other, "rb") as second:
        while block := first.read(READ_BYTES):
            if second.read(READ_BYTES) != block:
                return False
        return not second.read(1)


def sync_file(path: str) -> None:
    """Make a file or the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_export(path: str | os.PathLike[str]) -> Iterator[ExportedRecord]:
    """Read the records of an export, in the order in which they were made.

    Raises: FormatError (not an export, or of another version); CorruptionError, after the records before it (damaged,
        or cut short); OSError.
    """
    with open(path, "rb") as file:
        unpacker = msgpack.Unpacker(file, max_buffer_size=RECORD_BYTES_MAX)
        try:
            header = unpacker.unpack()
            if header["format"] != MAGIC or header["version"] != 1:
                raise ValueError("format")
        except (ValueError, TypeError, KeyError, msgpack.UnpackException):
            raise FormatError(f"{os.fspath(path)} is no export of this release") from None
        yield from records_of(os.fsdecode(path), unpacker, header)


def records_of(name: str, unpacker: Any, header: dict[str, Any]) -> Iterator[ExportedRecord]:
    """Yield the records after a header; the end of the file must prove them."""
    packer, total, count = msgpack.Packer(), xxhash.xxh64(), 0
    total.update(packer.pack(header))
    try:
        for fields in unpacker:
            if "checksum" in fields:
                if fields != {"records": count, "checksum": total.intdigest()}:
                    break
                return
            total.update(packer.pack(fields))
            count += 1
            yield ExportedRecord(**fields)
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    raise CorruptionError(
        f"{name} is damaged or was cut short after {count} records", file=os.path.basename(name)
    )
