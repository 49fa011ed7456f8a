"""Power cuts of a store with two peers, each on a disk of its own: what was acked is where it was promised, every
directory is a prefix, and the best peer has what was acked at a quorum."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from crash.children import Children, run_request
from crash.plan import Plan
from crash.power import scaled
from peers.cutting import Disks, check_prefixes, go_on

LEVELS = ("disk", "quorum", "all")
BEGINNINGS = ("new", "copied", "going on")


def campaign(disks: Disks, beginning: str, level: str, states: int) -> Counter[str]:
    """Record one family from a beginning on, cut it, and check the states; returns what they went on to."""
    rng, seed = random.Random(disks.seed), disks.seed
    plans = [Plan(seed, 25, 1, "mixed", 0)]
    a, b, c = disks.paths
    family = {"peers": [str(b), str(c)]}
    before = b""
    if beginning != "new":
        plans = [Plan(seed, 60, 1, "mixed", 0), Plan(seed, 25, rng.choice([1, 3]), "mixed", 1)]
        options = {**family, "ack": "all"} if beginning == "going on" else {}
        before = disks.prepare(plans[0], **options).read_bytes()
    options = {**family, "ack": level, "retain_log_bytes": rng.choice([0, 400_000])}
    recording = disks.record(
        [run_request(a, plans[-1], disks.where / "marks", options=options)], plans
    )
    seen: Counter[str] = Counter()
    for state in disks.states(recording, states, before=before):
        try:
            check_prefixes(disks, recording, state, level)
            seen[go_on(disks, recording, state, level)] += 1
        except AssertionError as error:
            raise type(error)(f"{beginning}, {level}, {state.story}: {error}") from None
    print(f"seed {seed}: {beginning}, {level}: {len(recording.events)} events, {dict(seen)}")
    return seen


def campaigns(shim: Path, scratch: Path, openers: Children, seeds: list[int], states: int) -> None:
    seen: Counter[str] = Counter()

    def work(number: int) -> None:
        disks = Disks(scratch / str(number), shim, openers, seeds[number])
        level, beginning = LEVELS[number % 3], BEGINNINGS[number // 3 % 3]
        seen.update(campaign(disks, beginning, level, states))

    openers.for_each(range(len(seeds)), work)
    print(f"{seen.total()} crash states: {dict(seen)}")
    assert min(seen["settled"], seen["promoted"]) > 0


def test_a_cut_of_all_disks_takes_back_nothing_that_was_acked_there(
    shim: Path, scratch: Path, openers: Children, rng: random.Random
) -> None:
    seeds = [rng.getrandbits(32) for _ in range(9)]
    campaigns(shim, scratch, openers, seeds, scaled(8))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_cut_of_all_disks_takes_back_nothing_that_was_acked_there_in_thousands(
    shim: Path, scratch: Path, openers: Children, rng: random.Random
) -> None:
    seeds = [rng.getrandbits(32) for _ in range(18)]
    campaigns(shim, scratch, openers, seeds, scaled(200))
