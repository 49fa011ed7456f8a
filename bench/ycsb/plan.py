"""How much of YCSB to run. Importing this needs no package of the extra."""

from __future__ import annotations

from dataclasses import dataclass

#: Names of the six workloads, in YCSB's recommended order, without its second load before E.
NAMES = ("A", "B", "C", "F", "D", "E")
LEVELS = ("synced", "group", "none")


@dataclass(frozen=True)
class YcsbPlan:
    """What every turn does.

    Args:
        workloads: of NAMES.
        records: in the store before a turn.
        operations: at most so many in a turn, all clients together; YCSB's operationcount.
        seconds, warm_seconds: the measured time of a turn, and the time before it.
        threads: client threads; one variant for each number.
        tasks: asyncio tasks of one event loop, for engines that have such an interface; likewise.
        durability: of LEVELS; likewise.
        rate: operations per second that arrive, whether or not earlier ones are done; None: every
            client begins an operation when its last one has ended.
        integrity: check every read, and every record afterwards.
        cache_bytes: what each engine may use for its own cache.
    """

    workloads: tuple[str, ...] = NAMES
    records: int = 100_000
    operations: int = 2_000_000
    seconds: float = 2.0
    warm_seconds: float = 0.5
    threads: tuple[int, ...] = (16,)
    tasks: tuple[int, ...] = (64,)
    durability: tuple[str, ...] = ("synced", "none")
    rate: float | None = None
    integrity: bool = False
    cache_bytes: int = 256 << 20


QUICK_YCSB = YcsbPlan(
    records=10_000,
    operations=200_000,
    seconds=0.3,
    warm_seconds=0.1,
    threads=(4,),
    tasks=(16,),
    durability=("synced",),
)

FULL_YCSB = YcsbPlan(
    records=1_000_000,
    operations=4_000_000,
    seconds=10.0,
    warm_seconds=2.0,
    threads=(1, 16),
    durability=LEVELS,
)
