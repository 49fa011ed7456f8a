"""The targets: what each row must meet (floor) and reach for. Only this file holds the numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.result import RowResult, Series, Spread

SUBJECT = "shardkv"
BEST_PEER = "best peer"  #: whichever engine and variant of the row has the best median


@dataclass(frozen=True)
class Target:
    """One demand on one row.

    Args:
        row: name of the row.
        metric: what is judged, as the row names it.
        peer: engine whose figure divides ours, round by round, or BEST_PEER; None judges our figure
            itself.
        peer_metric: the peer's metric where it differs from ours.
        variant: variant of the row.
        peer_variant: the peer's variant where it differs from ours.
        floor: value that must be met; None when there is only a value to reach for.
        reach: value to reach for; None when the floor is all.
        lower_is_better: for times and sizes.
    """

    row: str
    metric: str
    peer: str | None = None
    peer_metric: str | None = None
    variant: str = ""
    peer_variant: str | None = None
    floor: float | None = None
    reach: float | None = None
    lower_is_better: bool = False


TARGETS = (
    Target("1", "per_s", "plyvel", floor=1.3, reach=1.5),
    Target("2", "per_s", "plyvel", variant="4 threads", floor=1.5, reach=3.0),
    Target("2", "per_s", "plyvel", variant="16 threads", floor=1.5, reach=3.0),
    Target("2", "per_s", "plyvel", variant="64 threads", floor=1.3, reach=3.0),
    Target("2", "per_s", "py-lmdb", variant="64 threads", floor=10.0),
    Target("2", "per_s", "rocksdict", variant="64 threads", floor=10.0),
    Target("2", "per_s", "sqlite3", variant="64 threads", floor=10.0),
    Target("3", "per_s", BEST_PEER, variant="1,000 tasks", floor=4.0),
    Target("3", "per_s", variant="1,000 tasks", reach=300e3),
    Target("4", "synced_per_s", "plyvel", "loop_per_s", floor=2.0),
    Target("4", "synced_per_s", "rocksdict", "loop_per_s", floor=3.0),
    Target("4", "synced_per_s", reach=1e6),
    Target("5", "per_s", "rocksdict", floor=3.0),
    Target("5", "per_s", "plyvel", floor=3.0),
    Target("5", "per_s", reach=2e6),
    Target("6", "per_s", "rocksdict", variant="synced batches", floor=1.0, reach=1.5),
    Target("7", "per_s", "py-lmdb", floor=3.0),
    Target("7", "per_s", "rocksdict", reach=1.0),
    Target("8", "per_s", "py-lmdb", floor=0.9, reach=1.2),
    Target("8", "per_s", "plyvel", floor=3.0),
    Target("9", "per_s", "py-lmdb", floor=0.6),
    Target("9", "per_s", "plyvel", reach=1.0),
    *(
        target
        for while_flushing, idle in (("flushing", "idle"), ("load, flushing", "load, idle"))
        for target in (
            Target(
                "10",
                "p99_us",
                SUBJECT,
                variant=while_flushing,
                peer_variant=idle,
                floor=2.0,
                reach=1.2,
                lower_is_better=True,
            ),
            Target("10", "max_ms", variant=while_flushing, floor=25.0, lower_is_better=True),
        )
    ),
    Target("11", "s_per_gb", variant="cold cache", floor=3.0, reach=1.2, lower_is_better=True),
    Target("12", "open_ms", floor=15.0, reach=5.0, lower_is_better=True),
    Target("13", "heap_bytes", floor=40.0, reach=24.0, lower_is_better=True),
    Target("14", "per_s", floor=50e6, reach=100e6),
    Target("14", "max_share", floor=1.05, lower_is_better=True),
    Target(
        "15", "device_per_byte", variant="budget 30%", floor=6.1, reach=4.1, lower_is_better=True
    ),
    *(
        Target("counter", "per_s", peer, variant=variant, floor=1.0)
        for variant in ("16 threads", "1,000 tasks")
        for peer in ("diskcache", "sqlite3", "redis")
    ),
    *(
        Target("atomic", "per_s", SUBJECT, None, f"{call}, ack {ack}", f"put, ack {ack}", **bound)
        for ack, bound in (("disk", {"floor": 0.5}), ("memory", {"reach": 0.5}))
        for call in ("get_entry", "add", "cas", "incr")
    ),
)


@dataclass(frozen=True)
class Judgement:
    """A target beside what was measured; `measured` is None when an engine did not run."""

    target: Target
    measured: Spread | None

    @property
    def verdict(self) -> str:
        """Return "reach", "pass", "fail", "below reach" (there is no floor) or "not measured"."""
        if self.measured is None:
            return "not measured"
        if self._meets(self.target.reach):
            return "reach"
        if self.target.floor is None:
            return "below reach"
        return "pass" if self._meets(self.target.floor) else "fail"

    def _meets(self, bound: float | None) -> bool:
        if bound is None or self.measured is None:
            return False
        return (
            self.measured.median <= bound
            if self.target.lower_is_better
            else self.measured.median >= bound
        )


def judge(row: RowResult, targets: Sequence[Target] = TARGETS) -> list[Judgement]:
    """Hold every target of `row` against its series."""
    return [
        Judgement(target, _measure(row, target)) for target in targets if target.row == row.name
    ]


def _measure(row: RowResult, target: Target) -> Spread | None:
    ours = row.find(SUBJECT, target.variant)
    if ours is None:
        return None
    if target.peer is None:
        samples = ours.metrics.get(target.metric)  # a machine may lack what it takes to measure it
        return Spread.of(samples) if samples else None
    theirs = _peer(row, target)
    ratios = [] if theirs is None else _ratios(ours, theirs, target)
    return Spread.of(ratios) if ratios else None


def _peer(row: RowResult, target: Target) -> Series | None:
    if target.peer == BEST_PEER:
        return best_peer(row, target.peer_metric or target.metric)
    variant = target.variant if target.peer_variant is None else target.peer_variant
    return row.find(target.peer or SUBJECT, variant)


def best_peer(row: RowResult, metric: str) -> Series | None:
    """Return the fastest series that is not ours; None when no peer ran."""
    peers = [one for one in row.series if one.engine != SUBJECT]
    return max(peers, key=lambda one: statistics.median(one.metrics[metric]), default=None)


def _ratios(ours: Series, theirs: Series, target: Target) -> list[float]:
    # Round by round: what slows the machine for a while slows both sides of one ratio. A peer that got nothing done
    # in a short round has no ratio there.
    peer_metric = target.peer_metric or target.metric
    return [
        our / their
        for our, their in zip(ours.metrics[target.metric], theirs.metrics[peer_metric], strict=True)
        if their
    ]
