"""What is stored of a lease: its newest token, and until when somebody has it.

Source: csrc/FORMAT.md, section 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgpack

from shardkv._native import MEMORY
from shardkv.coder import KEY_BYTES_LEFT, root_of
from shardkv.errors import AckError, FormatError, InvalidError

LEASES: Final = root_of(1)


@dataclass(frozen=True, slots=True)
class Grant:
    """Who has a lease, and until when; an end of 0: it was released."""

    token: int
    expires_ms: int


def take(inner: Any, key: bytes, lifetime_ms: int, name: str) -> tuple[bool, Grant]:
    """Take a lease if it is free: say whether it was, and who has it now."""
    # As durable as the store's writes: who takes its place must not grant a token that somebody has.
    ack = "disk" if inner._ack == MEMORY else None
    while True:
        entry = inner.get_entry(key)
        last = Grant(0, 0) if entry is None else read(entry.value, name)
        now_ms = inner._engine.clock_ms()
        if last.expires_ms > now_ms:
            return False, last
        mine = Grant(last.token + 1, now_ms + lifetime_ms)
        try:
            if inner.cas(key, record(mine), 0 if entry is None else entry.version, ack=ack):
                return True, mine
        except AckError:
            give_back(inner, key, mine)
            raise


def give_back(inner: Any, key: bytes, grant: Grant) -> None:
    """Let a lease end that was taken, but that nobody was given."""
    entry = inner.get_entry(key)
    if entry is not None and entry.value == record(grant):
        inner.cas(key, record(Grant(grant.token, 0)), entry.version, ack="disk")


def lease_key(name: str) -> bytes:
    """Return the key of a lease's record.

    Raises: TypeError; InvalidError.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a lease must be str, not {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidError(f"the name of a lease holds half a character: {error}") from None
    if not 1 <= len(encoded) <= KEY_BYTES_LEFT:
        raise InvalidError(
            f"the name of a lease has {len(encoded)} bytes of UTF-8; it must have 1..{KEY_BYTES_LEFT}"
        )
    return LEASES + encoded


def record(grant: Grant) -> bytes:
    """Return what is stored of a lease."""
    packed: bytes = msgpack.packb([grant.token, grant.expires_ms])
    return packed


def read(stored: bytes, name: str) -> Grant:
    """Return what is stored of a lease.

    Raises: FormatError.
    """
    try:
        token, expires_ms = msgpack.unpackb(stored)
    except (ValueError, TypeError) as error:
        raise FormatError(f"the record of lease {name!r} is of another version: {error}") from error
    return Grant(token, expires_ms)
