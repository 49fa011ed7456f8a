"""Every single bit of a small store turned over, one at a time: T1, T3, T10 and promise P5.

The store opens with the right content, or refuses and names the file; it never shows a wrong value
and drops nothing.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from .children import Children
from .damage import Damaged, finished_store
from .plan import Plan, steps_of
from .power import SCALE, scaled

BRANCH = 1  # lmdb's flags of such a page
NEAR = 8  # bytes around written ones that are turned over as well


def written_bits(path: Path) -> list[int]:
    """The bits of a file that hold something, and those close to them."""
    raw = path.read_bytes()
    held = bytearray(len(raw))
    for start in range(0, len(raw), 4096):
        page = raw[start : start + 4096]
        if any(page):
            for at in (start + n for n, byte in enumerate(page) if byte):
                held[max(at - NEAR, 0) : at + NEAR] = b"\1" * len(
                    held[max(at - NEAR, 0) : at + NEAR]
                )
    return [8 * n + bit for n, yes in enumerate(held) if yes for bit in range(8)]


def branch_bits(path: Path) -> list[int]:
    """The bits of LMDB's pages that lead to others."""
    raw = path.read_bytes()
    flags = {
        at: int.from_bytes(raw[at + 10 : at + 12], "little") for at in range(0, len(raw), 4096)
    }
    return [bit for bit in written_bits(path) if flags[bit // 8 // 4096 * 4096] == BRANCH]


def flip(path: Path, bit: int) -> None:
    fd = os.open(path, os.O_RDWR)
    byte = os.pread(fd, 1, bit // 8)[0]
    os.pwrite(fd, bytes([byte ^ 1 << bit % 8]), bit // 8)
    os.close(fd)


def flip_all(damaged: Damaged, name: str, bits: list[int]) -> Counter[str]:
    """Turn over each of `bits` in a copy of its own; the outcomes by how often they came."""
    outcomes: Counter[str] = Counter()

    def work(bit: int) -> None:
        outcomes[
            damaged.outcome(f"{name} bit {bit}", lambda store: flip(store / name, bit), (name,))
        ] += 1

    damaged.openers.for_each(bits, work)
    print(f"{damaged.plan}: {name}: {len(bits)} flips: {dict(outcomes)}")
    return outcomes


def plan_that_leaves_rows(rng: random.Random) -> Plan:
    """Five steps may delete what they put: take the first plan at whose end there is something to damage."""
    while True:
        plan, rows = Plan(rng.getrandbits(32), 5, flavour="tiny", keys=5), dict[bytes, int]()
        for step in steps_of(plan, 0):
            step.apply(rows)
        if len(rows) > 1:
            return plan


@pytest.fixture
def small(openers: Children, scratch: Path, rng: random.Random) -> Damaged:
    """A closed store whose handful of records are in the log alone."""
    plan = plan_that_leaves_rows(rng)
    template = finished_store(openers, scratch / "small", plan, flush=False, shards=1)
    return Damaged(openers, template, plan, scratch)


def test_every_flipped_bit_of_the_log_is_harmless_or_refused(small: Damaged, scratch: Path) -> None:
    refused = 0
    for path in sorted((scratch / "small" / "store" / "log").glob("*.log")):
        bits = written_bits(path)
        outcomes = flip_all(small, f"log/{path.name}", bits)
        assert not outcomes["died"]
        refused += outcomes["refused"]
    assert refused > 8 * 200, "the records were not in the log"


@pytest.mark.parametrize("name", ["MANIFEST", "MANIFEST.bak", "log/MARK"])
def test_every_flipped_bit_of_the_small_files_is_harmless_or_refused(
    small: Damaged, scratch: Path, rng: random.Random, name: str
) -> None:
    path = scratch / "small" / "store" / name
    bits = written_bits(path) if path.exists() else []
    assert bits or name == "MANIFEST.bak"
    if SCALE <= 1:
        bits = rng.sample(bits, min(len(bits), 500))
    assert not flip_all(small, name, bits)["died"]


def test_flipped_bits_of_a_shard_never_show_a_wrong_value(
    openers: Children, scratch: Path, rng: random.Random
) -> None:
    """LMDB may end the process on a damaged page; the parent lives and counts."""
    plan = Plan(rng.getrandbits(32), 40, keys=30)
    template = finished_store(openers, scratch / "flushed", plan, flush=True)
    damaged = Damaged(openers, template, plan, scratch)
    for shard in ("0000", "0001"):
        name = f"shards/{shard}/data.mdb"
        bits = written_bits(scratch / "flushed" / "store" / name)
        outcomes = flip_all(damaged, name, rng.sample(bits, min(len(bits), scaled(250))))
        assert outcomes["died"] <= 0.05 * outcomes.total()


def test_a_flipped_bit_that_leads_a_search_astray_never_makes_a_key_seem_absent(
    openers: Children, scratch: Path, rng: random.Random
) -> None:
    plan = Plan(rng.getrandbits(32), 300, keys=200)
    template = finished_store(openers, scratch / "flushed", plan, flush=True, shards=1)
    damaged = Damaged(openers, template, plan, scratch)
    name = "shards/0000/data.mdb"
    bits = branch_bits(scratch / "flushed" / "store" / name)
    assert len(bits) > 100
    outcomes = flip_all(damaged, name, rng.sample(bits, min(len(bits), scaled(250))))
    assert outcomes["refused"]
