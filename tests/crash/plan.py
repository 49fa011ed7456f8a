"""What a workload does: decided by a seed before it starts, so that the oracle knows it too."""

import hashlib
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

HEAD = struct.Struct("<II")  # step number, size
PROBE = b"\xffprobe"  # keys that the verifier writes; the oracle looks past them
Item = tuple[bytes, int | None]  # a key and the size of its new value; None deletes

WEIGHTS = {
    "mixed": {
        "put": 30, "put memory": 16, "delete": 8, "delete memory": 4, "batch": 10,
        "batch memory": 4, "put_many": 5, "delete_many": 3, "submit": 10, "wait": 3, "sync": 3,
        "flush": 3, "get": 5, "scan": 2, "snapshot": 2, "reopen": 2, "reopen unflushed": 2,
    },
    "writes": {
        "put": 20, "put memory": 40, "delete": 5, "batch": 15, "put_many": 5, "submit": 10,
        "flush": 2,
    },
    "tiny": {"put": 3, "batch": 1},
    "rolling": {"put": 1},
    "large": {
        "put": 30, "put memory": 20, "delete": 5, "batch": 5, "flush": 12, "reopen": 2,
        "reopen unflushed": 2,
    },
}  # fmt: skip
CHANGES = frozenset({"put", "delete", "batch", "put_many", "delete_many", "submit"})


@dataclass(frozen=True)
class Plan:
    """`steps` steps in each of `threads` threads; `life` numbers the plans of one store."""

    seed: int
    steps: int
    threads: int = 1
    flavour: str = "mixed"
    life: int = 0
    keys: int = 24


@dataclass(frozen=True)
class Step:
    """One call. `disk` says whether it is acknowledged only when it is durable."""

    number: int
    verb: str
    disk: bool
    items: tuple[Item, ...] = ()

    def atoms(self) -> "tuple[Step, ...]":
        """The parts that happen whole or not at all, in order; delete_many is atomic key by key."""
        if self.verb != "delete_many":
            return (self,)
        return tuple(Step(self.number, self.verb, self.disk, (item,)) for item in self.items)

    def apply(self, rows: dict[bytes, int]) -> None:
        """Do to a model (key to the number of its writing step) what this step does to a store."""
        for key, size in self.items:
            if size is None:
                rows.pop(key, None)
            else:
                rows[key] = self.number


def value_of(seed: int, number: int, key: bytes, size: int) -> bytes:
    """The one value that step `number` may write under `key`; it names its writer."""
    body = hashlib.shake_128(b"%d %d " % (seed, number) + key).digest(max(size - HEAD.size, 4))
    return HEAD.pack(number, size) + body


def writer_of(seed: int, key: bytes, value: bytes) -> int:
    """The step that wrote `value`; ValueError when no step ever wrote it under `key`."""
    if len(value) < HEAD.size:
        raise ValueError(f"{key!r} holds {len(value)} bytes that nobody wrote")
    number, size = HEAD.unpack_from(value)
    if size > 1 << 26 or value != value_of(seed, number, key, size):
        raise ValueError(
            f"{key!r} holds a value that nobody wrote: it claims step {number}, size {size}"
        )
    return int(number)


@lru_cache(64)
def keys_of(plan: Plan, thread: int) -> tuple[bytes, ...]:
    """The keys of one thread, short and long, shared by every life of the store."""
    rng = random.Random(f"keys {plan.seed} {thread}")
    extremes = (1, 500) if thread == 0 and plan.flavour != "tiny" else ()
    usual = (4,) if plan.flavour == "tiny" else (4, 8, 16, 16, 40, 200)
    lengths = [*extremes, *(rng.choice(usual) for _ in range(plan.keys - len(extremes)))]
    return tuple(sorted({bytes([48 + thread]) + rng.randbytes(length - 1) for length in lengths}))


@lru_cache(64)
def steps_of(plan: Plan, thread: int) -> tuple[Step, ...]:
    """The steps of one thread, in order."""
    rng = random.Random(f"steps {plan.seed} {plan.life} {thread}")
    keys = keys_of(plan, thread)
    weights = dict(WEIGHTS[plan.flavour])
    if plan.threads > 1:  # one thread must not close the store of another
        weights = {verb: n for verb, n in weights.items() if not verb.startswith("reopen")}
    first = plan.life * 1_000_000 + thread * 100_000 + 1
    names = rng.choices(list(weights), list(weights.values()), k=plan.steps)
    made = (make_step(rng, first + n, name, keys, plan.flavour) for n, name in enumerate(names))
    return tuple(made)


def make_step(
    rng: random.Random, number: int, name: str, keys: Sequence[bytes], flavour: str
) -> Step:
    verb, _, how = name.partition(" ")
    if verb == "reopen":
        verb = name
    disk = how != "memory" and verb != "submit"
    if verb in ("put", "submit"):
        return Step(number, verb, disk, ((rng.choice(keys), size_of(rng, flavour)),))
    if verb == "delete":
        return Step(number, verb, disk, ((rng.choice(keys), None),))
    if verb not in CHANGES:
        return Step(number, verb, disk)
    chosen = rng.sample(keys, rng.randint(2, min(10, len(keys))))
    deletes = {"batch": 0.3, "put_many": 0.0, "delete_many": 1.0}[verb]
    items = tuple(
        (key, None if rng.random() < deletes else size_of(rng, flavour)) for key in chosen
    )
    return Step(number, verb, disk, items)


def size_of(rng: random.Random, flavour: str) -> int:
    usual = (12, 30, 100, 100, 100, 600, 3_000, 9_000)
    return rng.choice(
        {"large": (100, 5_000, 300_000, 700_000), "rolling": (700_000,), "tiny": (12,)}.get(
            flavour, usual
        )
    )
