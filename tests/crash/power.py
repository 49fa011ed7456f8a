"""Records workloads under the shim, builds the crash states of the trace, has each one opened."""

import itertools
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .children import Child, ChildDiedError, Children, open_request, rows_of, run_request
from .cuts import Cut, cuts_apart, cuts_at
from .oracle import check_lives
from .plan import Plan
from .replay import Replayer
from .shim import Fault, settings
from .trace import QUIET, Event, Kind, read_trace

SCALE = float(os.environ.get("SHARDKV_CRASH_SCALE", "1"))


def scaled(count: int) -> int:
    """A number of trials, times SHARDKV_CRASH_SCALE."""
    return max(1, int(count * SCALE))


@dataclass(frozen=True)
class Recording:
    """A root directory, what happened below it, and the plans of the lives that did it."""

    root: Path
    base: Path | None
    events: list[Event]
    plans: list[Plan]


def record(
    shim: Path,
    where: Path,
    plans: list[Plan],
    base: Path | None = None,
    faults: list[Fault | None] | None = None,
) -> Recording:
    """Run `plans` one after the other, each in a process of its own, on where/root/store."""
    root, trace, marks = where / "root", where / "trace", where / "marks"
    if base:
        shutil.copytree(base, root)
    else:
        root.mkdir(parents=True)
    retention = {"retain_log_bytes": 400_000 if plans[0].seed % 2 else 0}
    for plan, fault in itertools.zip_longest(plans, faults or []):
        armed = settings(root, fault, trace=trace, marks=marks)
        kills = fault is not None and fault.kind.startswith("kill")
        with Child(shim) as child:
            try:
                request = run_request(root / "store", plan, marks, shim=armed, options=retention)
                answer = child.ask(request)
            except ChildDiedError as error:
                if kills and error.signal == signal.SIGKILL:
                    continue
                raise
        assert not answer.get("untyped"), answer
        assert "finding" not in answer, answer
        assert fault or not answer["errors"], answer
    return Recording(root, base, list(read_trace(trace)), plans)


@dataclass(frozen=True)
class State:
    """One crash state, built in `path`, with the journal as it was at that moment."""

    path: Path
    journal: bytes
    story: str


def moments(events: list[Event]) -> list[int]:
    """After which events to cut: every one, but acknowledgements that follow it belong to it."""
    last = len(events) - 1
    return [n for n in range(len(events)) if n == last or events[n + 1].kind not in QUIET]


CutsOf = Callable[[Replayer, int], list[Cut]]


def on_one_disk(replayer: Replayer, seed: int) -> list[Cut]:
    """Ways to cut this moment when one disk holds all."""
    return cuts_at(replayer.pending_orders(), seed)


def on_disks_of_their_own(replayer: Replayer, seed: int) -> list[Cut]:
    """Ways to cut this moment when each directory of the root is a disk of its own."""
    return cuts_apart(replayer.pending_by_disk(), seed)


def crash_states(
    recording: Recording,
    where: Path,
    budget: int,
    seed: int,
    start: int = 0,
    cuts_of: CutsOf = on_one_disk,
    after_promises: int = 1,
) -> Iterator[State]:
    """About `budget` states, evenly over the moments from event `start` on, cut as `seed` says.

    after_promises: how many times as often right after something was promised.
    """
    rng = random.Random(seed)
    replayer = Replayer(recording.root, recording.base)
    wanted = {
        n: after_promises if recording.events[n].kind is Kind.MARK else 1
        for n in moments(recording.events)
        if n >= start
    }
    each = budget / max(sum(wanted.values()), 1)
    serial = itertools.count()
    for n, event in enumerate(recording.events):
        replayer.feed(event)
        if n not in wanted:
            continue
        cuts = cuts_of(replayer, rng.getrandbits(32))
        share = each * wanted[n]
        count = int(share) + (rng.random() < share % 1)
        for cut in rng.sample(cuts, min(count, len(cuts))):
            path = where / f"state-{next(serial)}"
            replayer.build(cut, path)
            yield State(
                path,
                replayer.marks,
                f"seed {seed}: after event {n} of {len(recording.events)} ({event}), {cut}",
            )


def check_state(openers: Children, recording: Recording, state: State) -> None:
    """The store in a crash state opens, works, and shows what its promises allow."""
    store = state.path / "store"
    flush = len(state.story) % 2 == 0
    answer = openers.ask(open_request("verify", store, recording.plans[-1].seed, flush=flush))
    assert "rows" in answer, f"{state.story}: {answer}"
    assert not answer["held"], f"{state.story}: still open after close: {answer['held']}"
    try:
        check_lives(recording.plans, state.journal, rows_of(answer))
    except AssertionError as error:
        raise type(error)(f"{state.story}: {error}") from None
    shutil.rmtree(state.path)


def check_states(
    openers: Children, recording: Recording, where: Path, budget: int, seed: int, start: int = 0
) -> int:
    """Build and check about `budget` crash states; returns how many there were."""
    states = crash_states(recording, where, budget, seed, start)
    return openers.for_each(states, lambda state: check_state(openers, recording, state))
