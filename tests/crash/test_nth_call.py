"""The n-th file call fails, falls short or is interrupted, for n = 1.. until the script completes.

Expected each time: a typed error or none, no false acknowledgement, no hang, nothing held open, and
a store that opens and has everything that was acknowledged (T6, T13, T14, T16, T17).
"""

import contextlib
import errno
import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .children import (
    Child,
    ChildDiedError,
    ChildHungError,
    Children,
    open_request,
    rows_of,
    run_request,
)
from .oracle import check_lives
from .plan import Plan
from .power import scaled
from .replay import Template
from .shim import Fault, settings

PLAN_STEPS = 25
Answer = dict[str, Any]
Request = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One plan under one fault, in a directory of its own."""

    plan: Plan
    fault: Fault
    where: Path


def ask_under_fault(runners: Children, request: Request, story: str) -> Answer:
    """Do it under the fault; death, hanging, an untyped error or a file left open is a finding."""
    try:
        answer = runners.ask(request)
    except (ChildDiedError, ChildHungError) as error:
        raise AssertionError(f"{story}: {error}") from None
    assert "finding" not in answer, f"{story}: {answer}"
    assert not answer.get("untyped"), f"{story}: {answer}"
    assert not answer["held"], f"{story}: {answer}"
    return answer


def check_trial(runners: Children, openers: Children, trial: Trial) -> Answer:
    root, journal = trial.where / "root", trial.where / "journal"
    root.mkdir(parents=True)
    armed = settings(root, trial.fault)
    request = run_request(root / "store", trial.plan, journal, shim=armed)
    answer = ask_under_fault(runners, request, f"{trial.plan}, {trial.fault}")
    story = f"{trial.plan}, {trial.fault}, hit {answer['hit']}, errors {answer['errors']}"
    after = openers.ask(open_request("verify", root / "store", trial.plan.seed))
    assert "rows" in after, f"{story}: {after}"
    try:
        check_lives([trial.plan], journal.read_bytes(), rows_of(after))
    except AssertionError as error:
        raise type(error)(f"{story}: {error}") from None
    shutil.rmtree(trial.where)
    return answer


def trials(
    plan: Plan, where: Path, fault: Callable[[int], Fault], hit: list[bool], every: int, first: int
) -> Iterator[Trial]:
    """Faults at first, first + every, ... until one is not reached; `hit` says whether each was."""
    for at in itertools.count(first, every):
        if not all(hit):
            return
        yield Trial(plan, fault(at), where / f"at-{at}")


MODES = {
    "EIO once": (1, lambda at: Fault("fail", at, error=errno.EIO)),
    "EIO from then on": (3, lambda at: Fault("fail", at, sticky=True, error=errno.EIO)),
    "ENOSPC once": (3, lambda at: Fault("fail", at, error=errno.ENOSPC)),
    "ENOSPC from then on": (
        3,
        lambda at: Fault("fail", at, sticky=True, error=errno.ENOSPC, classes="write,name,open"),
    ),
    "no descriptors": (1, lambda at: Fault("fail", at, error=errno.EMFILE, classes="open,look")),
    "no memory for maps": (1, lambda at: Fault("fail", at, error=errno.ENOMEM, classes="map")),
    "short write": (2, lambda at: Fault("short", at, classes="write")),
    "interrupted": (2, lambda at: Fault("fail", at, error=errno.EINTR, classes="write,sync")),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_the_nth_call_loses_nothing_acked(
    runners: Children, openers: Children, scratch: Path, rng: random.Random, mode: str
) -> None:
    stride, fault = MODES[mode]
    stride = max(1, round(stride / scaled(1)))
    plan = Plan(rng.getrandbits(32), PLAN_STEPS)
    hit: list[bool] = []

    def work(trial: Trial) -> None:
        hit.append(bool(check_trial(runners, openers, trial)["hit"]))

    total = runners.for_each(
        trials(plan, scratch, fault, hit, stride, rng.randint(1, stride)), work
    )
    print(f"{plan}, {mode}: {total} faults")
    assert total > 5


@pytest.mark.parametrize("mode", ["short", "interrupted"])
def test_short_and_interrupted_log_writes_are_finished_without_a_word(
    runners: Children, openers: Children, scratch: Path, rng: random.Random, mode: str
) -> None:
    """T13: one helper writes on until all is written; nobody hears of it."""
    plan = Plan(rng.getrandbits(32), PLAN_STEPS)
    stride = max(1, round(2 / scaled(1)))
    hit: list[bool] = []

    def fault(at: int) -> Fault:
        if mode == "short":
            return Fault("short", at, classes="write", match="/log/")
        return Fault("fail", at, error=errno.EINTR, classes="write", match="/log/")

    def work(trial: Trial) -> None:
        answer = check_trial(runners, openers, trial)
        assert not answer["errors"], f"{trial.plan}, {trial.fault}: {answer['errors']}"
        hit.append(bool(answer["hit"]))

    assert runners.for_each(trials(plan, scratch, fault, hit, stride, 1), work) > 5


@pytest.fixture
def killed(shim: Path, scratch: Path, rng: random.Random) -> tuple[Plan, Template]:
    """A store that was killed with records in its log."""
    plan, root = Plan(rng.getrandbits(32), 40, flavour="writes"), scratch / "killed"
    root.mkdir()
    fault = Fault("kill-middle", rng.randint(25, 40), classes="sync")
    with Child(shim) as child, contextlib.suppress(ChildDiedError):
        request = run_request(root / "store", plan, scratch / "journal", shim=settings(root, fault))
        answer = child.ask(request)
        print(f"{plan}, {fault}: not killed, {answer}")
    return plan, Template(root / "store")


@pytest.mark.parametrize("mode", ["EIO once", "ENOSPC from then on", "short write", "interrupted"])
def test_a_fault_at_the_nth_call_of_a_recovery_changes_nothing(
    killed: tuple[Plan, Template], runners: Children, openers: Children, scratch: Path, mode: str
) -> None:
    plan, template = killed
    verify = open_request("verify", template.copy(scratch / "right"), plan.seed)
    right = openers.ask(verify)["rows"]
    hit: list[bool] = []

    def work(trial: Trial) -> None:
        trial.where.mkdir()
        store = template.copy(trial.where / "store")
        request = open_request("verify", store, plan.seed, shim=settings(trial.where, trial.fault))
        story = f"{plan}, recovery, {trial.fault}"
        answer = ask_under_fault(runners, request, story)
        assert answer.get("rows", right) == right, f"{story}: {answer}"
        after = openers.ask(open_request("verify", store, plan.seed))
        assert after.get("rows") == right, f"{story}, hit {answer['hit']}: {after}"
        hit.append(bool(answer["hit"]))
        shutil.rmtree(trial.where)

    stride = max(1, round(2 / scaled(1)))
    total = runners.for_each(trials(plan, scratch, MODES[mode][1], hit, stride, 1), work)
    assert total > 5
