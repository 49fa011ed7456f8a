"""What a store can be opened with: checked here, before C is entered."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

from shardkv.errors import InvalidError

Ack = Literal["memory", "disk", "quorum", "all"]

UNFLUSHED_BYTES = 256 << 20
WRITE_TIMEOUT = 30.0
LOCK_STRIPES = 1024
FOREVER_S = 1e9


# The least and the most of each setting.
SETTINGS: Final[Mapping[str, tuple[int, int]]] = {
    "max_writes_per_s": (0, 1 << 46),
    "max_bytes_per_s": (0, 1 << 46),
    "retain_log_bytes": (0, 1 << 46),
    "unflushed_bytes": (1, 1 << 46),
}
# The same of every number that a store can be opened with.
NUMBERS: Final[Mapping[str, tuple[int, int]]] = {
    "shards": (1, 256),
    "map_bytes": (1, 1 << 46),
    "lock_stripes": (1, 1 << 20),
    "scrub_bytes_per_s": (0, 1 << 46),
    **SETTINGS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `Store.configure` can change; kept by the store.

    Attributes:
        max_writes_per_s: limit of records put or deleted per second; 0: none.
        max_bytes_per_s: limit of what these take in the log, some 18 bytes each beside key and value; 0: none.
        retain_log_bytes: how much of the log stays for `changes` and `watch` beyond what is unflushed, in whole
            segments, the oldest going first; 0: nothing, anything else at least one segment.
        unflushed_bytes: budget of records that are in the log but in no shard yet, at least 1 MiB.
    """

    max_writes_per_s: int
    max_bytes_per_s: int
    retain_log_bytes: int
    unflushed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one store is opened; None means: what is stored, or the default.

    Attributes:
        shards: number of LMDB environments, 1..256; fixed when the store is made.
        weights: one share for each shard, 1..64; equal ones by default.
        max_writes_per_s, max_bytes_per_s, retain_log_bytes, unflushed_bytes: as Settings.
        create: make the store when there is none.
        readonly: refuse writes through this store.
        segment_bytes: smallest and largest log segment.
        map_bytes: first size of a shard's memory map; it grows by itself.
        lock_stripes: number of key locks in this process, 1..1048576.
        scrub_bytes_per_s: pace of the scrub in the background; 0: it is off.
        quarantined: open it although records are lost.
        following: it is a peer in the hands of its primary.
    """

    shards: int | None = None
    weights: tuple[int, ...] | None = None
    max_writes_per_s: int | None = None
    max_bytes_per_s: int | None = None
    retain_log_bytes: int | None = None
    unflushed_bytes: int | None = None
    create: bool = True
    readonly: bool = False
    segment_bytes: tuple[int, int] | None = None
    map_bytes: int | None = None
    lock_stripes: int | None = None
    scrub_bytes_per_s: int | None = None
    quarantined: bool = False
    following: bool = False

    def without_settings(self) -> Options:
        """Return these options for a store that is there, and shall keep the settings it has."""
        stored: dict[str, Any] = dict.fromkeys(SETTINGS)
        return replace(self, create=False, **stored)

    def contradictions(self, other: Options) -> list[str]:
        """Name the fields that are set in both and differ."""
        return [
            field.name
            for field in fields(self)
            if field.name not in ("create", "quarantined")
            and getattr(self, field.name) is not None
            and getattr(self, field.name) != getattr(other, field.name)
        ]


def check_options(
    *,
    weights: Sequence[int] | None,
    create: bool,
    readonly: bool,
    segment_bytes: tuple[int, int] | None,
    quarantined: bool,
    **numbers: int | None,
) -> Options:
    """Return the options, or raise for the first that is wrong.

    Args: numbers: the others, settings among them.
    Raises: TypeError; InvalidError (range; the rest is checked by the engine, against the store).
    """
    for name, flag in (("create", create), ("readonly", readonly), ("quarantined", quarantined)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be True or False, not {flag!r}")
    check_numbers(numbers)
    if weights is not None:
        check_weights(weights, numbers["shards"])
    if segment_bytes is not None:
        check_segment_bytes(segment_bytes)
    known: dict[str, Any] = dict(numbers)
    return Options(
        **known,
        weights=None if weights is None else tuple(weights),
        create=create and not readonly,
        readonly=readonly,
        segment_bytes=segment_bytes,
        quarantined=quarantined,
    )


def check_numbers(numbers: Mapping[str, int | None]) -> None:
    """Raise for the first number that is not None and wrong; what else it may not be, the engine says."""
    for name, value in numbers.items():
        if value is not None:
            least, most = NUMBERS[name]
            check_int(name, value, most, least)


def check_int(name: str, value: object, most: int, least: int = 1) -> None:
    """Raise unless `value` is an int in least..most."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise InvalidError(f"{name} is {value}; it must be {least}..{most}")


def check_weights(weights: Sequence[int], shards: int | None) -> None:
    """Raise unless there is one int in 1..64 for each shard."""
    if shards is None or len(weights) != shards:
        raise InvalidError("weights needs shards, and one weight for each of them")
    for i, weight in enumerate(weights):
        check_int(f"weights[{i}]", weight, 64)


def check_segment_bytes(segment_bytes: object) -> None:
    """Raise unless this is a pair of sizes; their range is the engine's matter."""
    if not isinstance(segment_bytes, tuple) or len(segment_bytes) != 2:
        raise TypeError("segment_bytes must be a tuple of two ints: smallest and largest segment")
    for name, value in zip(("smallest", "largest"), segment_bytes, strict=True):
        check_int(f"the {name} of segment_bytes", value, 1 << 31)


def check_ack(ack: str) -> None:
    """Raise InvalidError unless `ack` is a level that exists."""
    if ack not in ("memory", "disk", "quorum", "all"):
        raise InvalidError(f"ack is {ack!r}; it must be 'memory', 'disk', 'quorum' or 'all'")


def check_peers(peers: Sequence[str | os.PathLike[str]]) -> Sequence[str | os.PathLike[str]]:
    """Return the directories; raise TypeError unless this is a sequence of paths."""
    if isinstance(peers, (str, bytes)) or not isinstance(peers, Sequence):
        raise TypeError(f"peers must be a sequence of directories, not {type(peers).__name__}")
    for peer in peers:
        if not isinstance(peer, (str, os.PathLike)):
            raise TypeError(f"a peer must be a path, not {type(peer).__name__}")
    return peers


def check_timeout(timeout: float, name: str = "write_timeout") -> float:
    """Return a timeout in seconds as a float; raise InvalidError when it is not >= 0."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(timeout).__name__}")
    if not 0 <= timeout < FOREVER_S:
        raise InvalidError(f"{name} is {timeout}; it must be 0 seconds or more, and less than 1e9")
    return float(timeout)


def check_wait(timeout: float | None) -> float | None:
    """Return how many seconds to wait, None for as long as it takes; raise InvalidError for what is no number."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number, not {type(timeout).__name__}")
    if not (timeout >= 0 or timeout < 0):
        raise InvalidError("the timeout is not a number of seconds")
    return None if timeout >= FOREVER_S else float(max(0, timeout))
