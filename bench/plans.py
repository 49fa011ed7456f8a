"""How much a run measures: three sizes, and single figures of them changed by the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.ycsb.plan import FULL_YCSB, QUICK_YCSB, YcsbPlan


@dataclass(frozen=True)
class Plan:
    """How much to measure. Counts are records."""

    rounds: int = 5
    attempts: int = 3  # at a row that meets a noisy machine
    settle_seconds: float = 90.0  # how long to wait for a low load before the first row
    seconds: float = 1.2
    warm_seconds: float = 0.3
    loop_records: int = 400_000
    table_records: int = 1_000_000
    gets: int = 200_000
    log_records: int = 4_000_000
    peer_log_records: int = 250_000
    clean_records: int = 10_000_000
    heap_records: int = 1_000_000
    ring_lookups: int = 20_000_000
    ingest_records: int = 500_000
    ingest_seconds: float = 30.0
    beyond_records: int = 400_000
    beyond_seconds: float = 15.0
    device_records: int = 400_000
    tail_seconds: float = 2.0
    tail_records: int = 400_000
    load_per_s: int = 50_000
    scaling_seconds: float = 0.8
    peer_records: int = 400_000
    shards_records: int = 300_000
    ycsb: YcsbPlan = field(default_factory=YcsbPlan)


#: Does it work, not how fast it is.
QUICK = Plan(
    rounds=2,
    attempts=1,
    settle_seconds=0.0,
    seconds=0.2,
    warm_seconds=0.05,
    loop_records=100_000,
    table_records=200_000,
    gets=50_000,
    log_records=500_000,
    peer_log_records=50_000,
    clean_records=1_000_000,
    heap_records=400_000,
    ring_lookups=5_000_000,
    ingest_records=100_000,
    beyond_records=40_000,
    beyond_seconds=2.0,
    device_records=40_000,
    tail_seconds=0.5,
    tail_records=100_000,
    scaling_seconds=0.1,
    peer_records=50_000,
    shards_records=50_000,
    ycsb=QUICK_YCSB,
)

#: Every row at its full size; takes hours.
FULL = Plan(
    seconds=2.0,
    ingest_records=10_000_000,
    ingest_seconds=300.0,
    beyond_records=10_000_000,
    beyond_seconds=150.0,
    device_records=4_000_000,
    tail_seconds=10.0,
    tail_records=2_000_000,
    scaling_seconds=2.0,
    shards_records=2_000_000,
    ycsb=FULL_YCSB,
)

#: Those that are single figures; `python -m bench ycsb` has options for the other.
FIELDS = {one.name: one for one in dataclasses.fields(Plan) if one.name != "ycsb"}


def changed(plan: Plan, settings: Mapping[str, float]) -> Plan:
    """Return `plan` with other figures; a count is made whole."""
    whole = {
        name: int(value) if isinstance(FIELDS[name].default, int) else value
        for name, value in settings.items()
    }
    return dataclasses.replace(plan, **whole)  # type: ignore[arg-type]


def setting(text: str) -> tuple[str, float]:
    """Read NAME=NUMBER, as `--set` takes it.

    Raises:
        ValueError: for an unknown name, and for what is no positive number.
    """
    name, _, figure = text.partition("=")
    if name not in FIELDS:
        raise ValueError(f"no figure {name!r}; there are {', '.join(FIELDS)}")
    try:
        value = float(figure)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ValueError(f"{name} must be a positive number, as {name}={FIELDS[name].default}")
    return name, value
