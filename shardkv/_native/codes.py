"""Constants of the contract, and the exception that each code stands for."""

from __future__ import annotations

from typing import Any, Final

from shardkv import errors
from shardkv._core import ffi, lib

MEMORY: Final[int] = lib.SKV_ACK_MEMORY
DISK: Final[int] = lib.SKV_ACK_DISK
LATER: Final[int] = lib.SKV_ACK_LATER
QUORUM: Final[int] = lib.SKV_ACK_QUORUM
ALL: Final[int] = lib.SKV_ACK_ALL
BATCH_BYTES_MAX: Final[int] = lib.SKV_BATCH_BYTES_MAX
KEY_BYTES_MAX: Final[int] = lib.SKV_KEY_BYTES_MAX
VALUE_BYTES_MAX: Final[int] = lib.SKV_VALUE_BYTES_MAX
RESERVED: Final[bytes] = b"\xff" * lib.SKV_RESERVED_BYTES
TTL_MS_MAX: Final[int] = lib.SKV_TTL_MS_MAX
NOT_FOUND: Final[int] = lib.SKV_NOT_FOUND
AGAIN: Final[int] = lib.SKV_AGAIN
BUSY: Final[int] = lib.SKV_BUSY
CLOSED: Final[int] = lib.SKV_CLOSED
CONFLICT: Final[int] = lib.SKV_CONFLICT
NUMBER_TEXT: Final[int] = lib.SKV_NUMBER_TEXT
NUMBER_MSGPACK: Final[int] = lib.SKV_NUMBER_MSGPACK

SLICE_MS: Final = 100

NO_SNAPSHOT: Final[Any] = ffi.NULL
REVERSE: Final[int] = lib.SKV_SCAN_REVERSE
KEYS_ONLY: Final[int] = lib.SKV_SCAN_KEYS_ONLY
ONLY: Final[int] = lib.SKV_SCAN_ONLY
LOOPS: Final[dict[str, Any]] = {
    "sync": lib.skv_run_sync,
    "log": lib.skv_run_log,
    "flush": lib.skv_run_flush,
}

# One exception for each code; the answers NOT_FOUND, AGAIN and BUSY never leave this module.
CODES: Final[dict[int, type[errors.Error]]] = {
    lib.SKV_CLOSED: errors.ClosedError,
    lib.SKV_FORKED: errors.ForkedError,
    lib.SKV_LOCKED: errors.LockedError,
    lib.SKV_READ_ONLY: errors.ReadOnlyError,
    lib.SKV_KEY_TOO_LONG: errors.KeyTooLongError,
    lib.SKV_VALUE_TOO_LARGE: errors.ValueTooLargeError,
    lib.SKV_CONFLICT: errors.ConflictError,
    lib.SKV_FULL: errors.FullError,
    lib.SKV_CORRUPT: errors.CorruptionError,
    lib.SKV_POISONED: errors.PoisonedError,
    lib.SKV_FORMAT: errors.FormatError,
    lib.SKV_IO: errors.DiskError,
    lib.SKV_NO_MEMORY: errors.OutOfMemoryError,
    lib.SKV_INVALID: errors.InvalidError,
    lib.SKV_WRONG_TYPE: errors.WrongTypeError,
    lib.SKV_LOCK_TIMEOUT: errors.LockTimeoutError,
    lib.SKV_OVERLOADED: errors.OverloadedError,
    lib.SKV_ACK: errors.AckError,
    lib.SKV_FENCED: errors.FencedError,
    lib.SKV_LOG_GONE: errors.LogGoneError,
}


def error_from(err: Any) -> errors.Error:
    """Make the exception that a filled skv_error stands for."""
    kind = CODES.get(err.code, errors.Error)
    return kind(
        ffi.string(err.text).decode("utf-8", "replace"),
        file=ffi.string(err.file).decode("utf-8", "replace"),
        offset=err.offset,
        seqno=err.seqno,
        sys_errno=err.sys_errno,
    )
