"""Power cuts of a store with two peers, each on a disk of its own: what was acked is where it was promised, every
directory is a prefix, and the best peer has what was acked at a quorum."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from crash.children import Children, run_request
from crash.oracle import Violation
from crash.plan import Plan, steps_of
from crash.power import scaled
from crash.trace import CREATED
from peers.cutting import Disks, check_prefixes, check_reached, go_on, reached

pytestmark = pytest.mark.unsanitized  # the shim is preloaded

LEVELS = ("disk", "quorum", "all")
BEGINNINGS = ("new", "copied", "going on", "copied anew")


def puts_first(seed: int) -> bool:
    """Say whether the first life begins with a put: only an ack says that the peers are there, and may be closed."""
    first = steps_of(Plan(seed, 60, 1, "mixed", 0), 0)[0]
    return first.verb == "put" and first.disk


def lets_go(seed: int) -> bool:
    """Say whether the second life flushes a put after it has begun a segment: older ones are let go of then."""
    verbs = [step.verb for step in steps_of(Plan(seed, 30, 1, "mixed", 1), 0)]
    begun = next((n for n, verb in enumerate(verbs) if verb.startswith("reopen")), len(verbs))
    put = verbs.index("put", begun) if "put" in verbs[begun:] else len(verbs)
    return "flush" in verbs[put:]


def prepare(disks: Disks, beginning: str) -> tuple[list[Plan], bytes]:
    """Bring a family to a beginning; return the plans of its lives so far, and their journal."""
    if beginning == "new":
        return [], b""
    b, c = map(str, disks.paths[1:])
    wanted = (seed for seed in itertools.count(disks.seed) if puts_first(seed) and lets_go(seed))
    disks.seed = next(wanted)
    plans = [Plan(disks.seed, 60, 1, "mixed", 0)]
    if beginning == "copied":
        return plans, without_acks(disks.prepare(plans[0]))
    journal = disks.prepare(plans[0], peers=[b, c], ack="all")
    if beginning == "copied anew":  # b comes back, and the log does not reach back to what it has
        older = disks.where / "older"
        shutil.copytree(b, older)
        plans.append(Plan(disks.seed, 30, 1, "mixed", 1))
        journal += disks.prepare(plans[1], retain_log_bytes=0)
        shutil.rmtree(b)
        older.rename(b)
        journal = without_acks(journal)
    return plans, journal


def without_acks(journal: bytes) -> bytes:
    """Leave out of a journal what says nothing of peers that were not there, or are there with less."""
    lines = journal.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"reached"))


def campaign(disks: Disks, beginning: str, level: str, states: int) -> Counter[str]:
    """Record one family from a beginning on, cut it, and check the states; returns what they went on to."""
    plans, before = prepare(disks, beginning)
    rng, seed = random.Random(disks.seed), disks.seed
    plans.append(Plan(seed, 25, rng.choice([1, 3]), "mixed", len(plans)))
    a, b, c = disks.paths
    family = {"peers": [str(b), str(c)], "ack": level}
    options = {**family, "retain_log_bytes": rng.choice([0, 400_000])}
    recording = disks.record(
        [run_request(a, plans[-1], disks.where / "marks", options=options)], plans
    )
    made = {event.path for event in recording.events if event.flags & CREATED}
    copied = str(b / "COPYING") in made
    assert copied <= (beginning != "going on")
    assert copied or beginning == "going on" or level != "all", "only who acks needs to be there"
    seen: Counter[str] = Counter()
    for state in disks.states(recording, states, before=before):
        try:
            check_prefixes(disks, recording, state, level)
            acked = " after acks" * reached(state.journal)
            seen[go_on(disks, recording, state, level) + acked] += 1
        except AssertionError as error:
            raise type(error)(f"{beginning}, {level}, {state.story}: {error}") from None
    print(f"seed {seed}: {beginning}, {level}: {len(recording.events)} events, {dict(seen)}")
    return seen


def campaigns(disks: list[Disks], openers: Children, beginning: str, states: int) -> Counter[str]:
    """One family after the other, a few at a time, each under another level."""
    seen: Counter[str] = Counter()

    def work(number: int) -> None:
        seen.update(campaign(disks[number], beginning, LEVELS[number % 3], states))

    openers.for_each(range(len(disks)), work)
    print(f"{beginning}: {seen.total()} crash states: {dict(seen)}")
    assert seen.total() > 0
    return seen


def test_a_peer_that_lost_what_an_earlier_life_acked_is_found() -> None:
    """Until a life acked anything, any peer would do that was a prefix of something, an empty one too."""
    plans = [Plan(5, 12, flavour="writes", life=life) for life in (0, 1)]
    rows: dict[bytes, int] = {}
    for step in steps_of(plans[0], 0):
        step.apply(rows)
    journal = b"life 0\nshown\n" + b"".join(
        b"intends 0 %d\nreached 0 %d\n" % (n, n) for n in range(12)
    )
    for later in (b"", b"life 1\n", b"life 1\nshown " + shown(rows) + b"\nintends 0 0\n"):
        check_reached(plans, journal + later, rows)
        with pytest.raises(Violation):
            check_reached(plans, journal + later, {})


def shown(rows: dict[bytes, int]) -> bytes:
    return b" ".join(b"%s:%d" % (key.hex().encode(), number) for key, number in rows.items())


@pytest.fixture
def three_disks(shim: Path, scratch: Path, openers: Children, rng: random.Random) -> list[Disks]:
    return [Disks(scratch / level, shim, openers, rng.getrandbits(32)) for level in LEVELS]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_cut_of_all_disks_takes_back_nothing_that_was_acked_there(
    three_disks: list[Disks], openers: Children, beginning: str
) -> None:
    campaigns(three_disks, openers, beginning, scaled(6))


@pytest.mark.slow
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_cut_of_all_disks_takes_back_nothing_that_was_acked_there_in_thousands(
    three_disks: list[Disks], openers: Children, beginning: str
) -> None:
    seen = campaigns(three_disks, openers, beginning, scaled(200))
    assert seen.keys() >= {"settled", "settled after acks", "promoted after acks"}
