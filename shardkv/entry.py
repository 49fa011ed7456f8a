"""What a store knows of one key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One key's value, its version and when it expires.

    Attributes:
        value: the value.
        version: the sequence number of the write that made it; grows with every write to the key.
        expires_at: Unix time in seconds, None when it never expires.
    """

    value: bytes
    version: int
    expires_at: float | None


def entry(value: bytes, version: int, expires_ms: int) -> Entry:
    """Make an entry of what C tells of a record."""
    return Entry(value, version, expires_ms / 1000 if expires_ms else None)
