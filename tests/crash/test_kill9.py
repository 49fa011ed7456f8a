"""SIGKILL at random moments and at chosen file calls, also during recovery."""

import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .children import Child, ChildDiedError, Children, open_request, rows_of, run_request
from .oracle import check_lives
from .plan import Plan
from .power import scaled
from .shim import Fault, settings

KINDS = ("kill-before", "kill-middle", "kill-after")


def check_store(
    openers: Children, store: Path, plans: list[Plan], journal: Path, story: str
) -> None:
    answer = openers.ask(open_request("verify", store, plans[-1].seed, flush=len(story) % 2 == 0))
    assert "rows" in answer, f"{story}: {answer}"
    try:
        check_lives(plans, journal.read_bytes(), rows_of(answer))
    except AssertionError as error:
        raise type(error)(f"{story}: {error}") from None


def wait_until_open(journal: Path, child: Child, life: int) -> None:
    """Wait until the workload of this life says that its store is open; an earlier one said so before."""
    while b"shown" not in journal.read_bytes().partition(b"life %d\n" % life)[2]:
        assert not child.answers_within(0.001), child.answer()


@dataclass(frozen=True)
class Story:
    """One store, killed again and again."""

    number: int
    seed: int
    where: Path


def live_and_die(openers: Children, story: Story) -> int:
    """Six lives of one store, each killed at a random moment; returns how many were."""
    rng = random.Random(story.seed)
    store, journal = story.where / f"store-{story.number}", story.where / f"journal-{story.number}"
    journal.touch()
    plans: list[Plan] = []
    kills = 0
    for life in range(6):
        flavour, threads = rng.choice(["mixed", "writes", "large"]), rng.choice([1, 1, 3])
        plans.append(Plan(story.seed, 2_000, threads, flavour, life))
        options = {
            "unflushed_bytes": rng.choice([8 << 20, 256 << 20]),
            "retain_log_bytes": rng.choice([0, 400_000]),
        }
        delay = rng.choice([rng.uniform(0, 0.02), rng.uniform(0, 0.3)])
        with Child() as child:
            child.send(run_request(store, plans[-1], journal, options=options))
            if rng.random() < 0.8:
                wait_until_open(journal, child, life)
            kills += not child.answers_within(delay)
        check_store(
            openers, store, plans, journal, f"{plans[-1]}, {options}, killed after {delay:.4f} s"
        )
    shutil.rmtree(store)
    return kills


def test_kills_at_random_moments_lose_nothing_acked_in_any_of_many_lives(
    openers: Children, scratch: Path, rng: random.Random
) -> None:
    kills: list[int] = []
    stories = [Story(n, rng.getrandbits(32), scratch) for n in range(scaled(8))]
    openers.for_each(stories, lambda story: kills.append(live_and_die(openers, story)))
    print(f"{sum(kills)} kills in {6 * len(stories)} lives")
    assert sum(kills) > 3 * len(stories)


def killed_at(shim: Path, request: dict[str, Any], root: Path, fault: Fault) -> bool:
    """Whether the shim killed the child during `request`."""
    with Child(shim) as child:
        try:
            child.ask({**request, "shim": settings(root, fault)})
        except ChildDiedError as error:
            if error.signal == signal.SIGKILL:
                return True
            raise
    return False


def count_calls(runners: Children, scratch: Path, plan: Plan) -> int:
    """How many file calls the whole plan makes."""
    root = scratch / "count"
    root.mkdir()
    answer = runners.ask(
        run_request(root / "store", plan, scratch / "count-journal", shim=settings(root))
    )
    assert not answer["errors"], answer
    return int(answer["counted"])


@pytest.mark.parametrize("threads", [1, 3], ids=["one writer", "three writers"])
def test_a_kill_at_the_nth_call_loses_nothing_acked(
    shim: Path,
    runners: Children,
    openers: Children,
    scratch: Path,
    rng: random.Random,
    threads: int,
) -> None:
    plan = Plan(rng.getrandbits(32), 30, threads)
    calls = count_calls(runners, scratch, plan)
    faults = [Fault(kind, at) for at in range(1, calls + 1) for kind in KINDS]
    killed: list[bool] = []

    def work(fault: Fault) -> None:
        where = scratch / f"{fault.kind}-{fault.at}"
        (where / "root").mkdir(parents=True)
        journal = where / "journal"
        journal.touch()
        request = run_request(where / "root" / "store", plan, journal)
        killed.append(killed_at(shim, request, where / "root", fault))
        check_store(openers, where / "root" / "store", [plan], journal, f"{plan}, {fault}")
        shutil.rmtree(where)

    openers.for_each(rng.sample(faults, min(len(faults), scaled(60))), work)
    print(f"{plan}: {calls} calls, {sum(killed)} kills")
    assert sum(killed) > len(killed) // 2


def test_kills_during_recovery_change_no_fate(
    shim: Path, runners: Children, openers: Children, scratch: Path, rng: random.Random
) -> None:
    """T26: kill a store, then kill its recovery up to three times, each at a random call."""
    plan = Plan(rng.getrandbits(32), 30)
    calls = count_calls(runners, scratch, plan)

    def work(seed: int) -> None:
        coins, where = random.Random(seed), scratch / str(seed)
        (where / "root").mkdir(parents=True)
        store, journal = where / "root" / "store", where / "journal"
        faults = [Fault(coins.choice(KINDS), coins.randint(calls // 4, calls))]
        killed_at(shim, run_request(store, plan, journal), where / "root", faults[0])
        for _ in range(coins.randint(1, 3)):
            faults.append(Fault(coins.choice(KINDS), coins.randint(1, 40)))
            killed_at(shim, open_request("verify", store, plan.seed), where / "root", faults[-1])
        story = f"{plan}, {', then '.join(map(str, faults))}"
        check_store(openers, store, [plan], journal, story)
        shutil.rmtree(where)

    openers.for_each([rng.getrandbits(32) for _ in range(scaled(20))], work)
