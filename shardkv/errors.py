"""The errors of shardkv: one root, one class for each code of the C contract, and a few that Python alone raises."""

from __future__ import annotations

import functools
import typing


class Error(Exception):
    """Root of everything that shardkv raises of its own.

    Attributes:
        file: the file concerned, relative to the store's directory; empty when none is.
        offset: byte offset in that file.
        seqno: sequence number of the record concerned; 0 when none is.
        sys_errno: the operating system's error number; 0 when it did not fail.
    """

    def __init__(
        self, text: str, *, file: str = "", offset: int = 0, seqno: int = 0, sys_errno: int = 0
    ) -> None:
        super().__init__(text)
        self.file = file
        self.offset = offset
        self.seqno = seqno
        self.sys_errno = sys_errno

    def __reduce__(self) -> tuple[typing.Any, ...]:
        kind = functools.partial(
            type(self), sys_errno=self.sys_errno
        )  # an OSError learns its errno when made
        return kind, self.args, self.__dict__

    def __str__(self) -> str:
        text = str(self.args[0]) if self.args else ""
        if not self.file:
            return text
        return (
            f"{self.file} at byte {self.offset}: {text}" if self.offset else f"{self.file}: {text}"
        )


class ClosedError(Error):
    """The store, or the snapshot's store, is closed."""


class ForkedError(Error):
    """The store was opened before a fork, in the parent process; open it again in the child."""


class LockedError(Error):
    """Another process has the store open; `pid` says which."""

    @property
    def pid(self) -> int:
        """The process that holds the store; 0 when it did not say."""
        return self.offset

    def __str__(self) -> str:
        return str(self.args[0])


class ReadOnlyError(Error):
    """A write through a store that was opened with readonly=True."""


class KeyTooLongError(Error, ValueError):
    """A key, or the bound of a scan, is longer than 500 bytes."""


class ValueTooLargeError(Error, ValueError):
    """A value is larger than 32 MiB, or a batch is in sum."""


class ConflictError(Error):
    """A condition of an atomic write did not hold. Nothing was written; `version` is what was found."""

    @property
    def version(self) -> int:
        """The version that the key had instead; 0 when it was absent."""
        return self.seqno


class LockTimeoutError(Error, TimeoutError):
    """A key lock, or a lease, could not be had in time."""


class LockOwnerError(Error, RuntimeError):
    """A key lock was released by who does not hold it, or waited for in a way that cannot end."""


class LeaseLostError(Error):
    """The lease expired, was released, or somebody else has it by now."""


class OverloadedError(Error, TimeoutError):
    """Writers are faster than the disk, and there was no room within `write_timeout`. Nothing was written."""


class FullError(Error):
    """The disk is full, or a fixed table is. Nothing was written; reads and flushing go on."""


class CorruptionError(Error):
    """Bytes on disk are not what was written: names file, offset and, where known, the seqno."""


class PoisonedError(Error):
    """The log could not be written or synced.

    The outcome of writes that were under way is unknown, the store refuses further ones; open it again.
    """


class AckError(Error):
    """The ack level that was asked for was not reached. A write is durable here all the same."""


class FencedError(Error):
    """Another store has become the primary."""


class LogGoneError(Error):
    """The log does not reach back that far any more; `seqno` is the `since` to go on with, and skips what is gone."""


class FormatError(Error):
    """The files are of a version or kind that this release does not know. Nothing was touched."""


class DiskError(Error, OSError):
    """The operating system failed a file call; `errno` says how."""

    def __init__(
        self, text: str, *, file: str = "", offset: int = 0, seqno: int = 0, sys_errno: int = 0
    ) -> None:
        super().__init__(text, file=file, offset=offset, seqno=seqno, sys_errno=sys_errno)
        self.errno = sys_errno or None

    def __str__(self) -> str:
        return Error.__str__(self)


class OutOfMemoryError(Error, MemoryError):
    """Memory is out. Nothing was written."""


class InvalidError(Error, ValueError):
    """An argument is outside its range, or contradicts what is stored."""


class WrongTypeError(Error, TypeError):
    """Something that is not bytes stands where bytes belong."""
