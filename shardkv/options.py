"""What a store can be opened with: checked here, before C is entered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from shardkv.errors import InvalidError

Ack = Literal["memory", "disk"]

UNFLUSHED_BYTES = 256 << 20
WRITE_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one store is opened; None means: what is stored, or the default.

    Attributes:
        shards: number of LMDB environments, 1..256; fixed when the store is made.
        weights: one share for each shard, 1..64; equal ones by default.
        unflushed_bytes: budget of records that are in the log but not in a shard yet, at least 1 MiB.
        create: make the store when there is none.
        readonly: refuse writes through this store.
        segment_bytes: smallest and largest log segment.
        map_bytes: first size of a shard's memory map; it grows by itself.
    """

    shards: int | None = None
    weights: tuple[int, ...] | None = None
    unflushed_bytes: int | None = None
    create: bool = True
    readonly: bool = False
    segment_bytes: tuple[int, int] | None = None
    map_bytes: int | None = None

    def contradictions(self, other: Options) -> list[str]:
        """Name the fields that are set in both and differ."""
        return [
            field.name
            for field in fields(self)
            if field.name != "create"
            and getattr(self, field.name) is not None
            and getattr(self, field.name) != getattr(other, field.name)
        ]


def check_options(
    *,
    shards: int | None,
    weights: Sequence[int] | None,
    unflushed_bytes: int | None,
    create: bool,
    readonly: bool,
    segment_bytes: tuple[int, int] | None,
    map_bytes: int | None,
) -> Options:
    """Return the options, or raise for the first that is wrong.

    Raises: TypeError; InvalidError (range; the rest is checked by the engine, against the store).
    """
    for name, value in (
        ("shards", shards),
        ("unflushed_bytes", unflushed_bytes),
        ("map_bytes", map_bytes),
    ):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if value is not None and not 0 < value < 1 << 62:
            raise InvalidError(f"{name} is {value}; it must be positive and below 2**62")
    if shards is not None and shards > 256:
        raise InvalidError(f"shards is {shards}; it must be 1..256")
    if weights is not None and (shards is None or len(weights) != shards):
        raise InvalidError("weights needs shards, and one weight for each of them")
    if weights is not None and not all(isinstance(w, int) and 0 < w <= 64 for w in weights):
        raise InvalidError("every weight must be an int in 1..64")
    return Options(
        shards=shards,
        weights=None if weights is None else tuple(weights),
        unflushed_bytes=unflushed_bytes,
        create=create,
        readonly=readonly,
        segment_bytes=segment_bytes,
        map_bytes=map_bytes,
    )


def check_ack(ack: str) -> None:
    """Raise InvalidError unless `ack` is a level that exists."""
    if ack not in ("memory", "disk"):
        raise InvalidError(f"ack is {ack!r}; it must be 'memory' or 'disk'")


def check_timeout(write_timeout: float) -> float:
    """Return a timeout in seconds as a float; raise InvalidError when it is not >= 0."""
    if isinstance(write_timeout, bool) or not isinstance(write_timeout, (int, float)):
        raise TypeError(f"write_timeout must be a number, not {type(write_timeout).__name__}")
    if not 0 <= write_timeout < 1e9:
        raise InvalidError(f"write_timeout is {write_timeout}; it must be 0 seconds or more")
    return float(write_timeout)
