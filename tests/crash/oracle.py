"""Decides whether what a store shows after a crash is a state that its promises allow.

P1: every write acknowledged at `disk` (or seen by a reader, P3) is there or was overwritten later.
P2: what survived is a prefix of the one order of all writes, batches whole.
A step that failed may have happened or not; nobody was promised anything.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from .journal import Diary, read_lives
from .plan import Plan, Step, keys_of, steps_of

MOST_CHOICES = 1000
Rows = dict[bytes, int]  # key to the number of the step whose value it holds


class Violation(AssertionError):
    """The store broke a promise."""


def check_lives(plans: list[Plan], journal: bytes, rows: Rows, *, crashed: bool = True) -> None:
    """Raise Violation unless `rows` is an allowed outcome of the newest life with an open store.

    A life that died while it was opening changes nothing: the one before it decides.
    """
    lives = read_lives(journal)
    for diary in lives:
        if diary.wrong:
            raise Violation(diary.wrong[0])
    opened = [diary for diary in lives if diary.shown is not None]
    if opened:
        newest = opened[-1]
        check(plans[newest.life], newest, rows, newest.shown or {}, crashed=crashed)
    elif rows:
        raise Violation(f"{len(rows)} rows in a store that was never open")


def check_peer(plans: list[Plan], journal: bytes, rows: Rows, *, acked: bool) -> None:
    """Raise Violation unless `rows` is a prefix without holes of what the lives wrote.

    acked: of the newest life at least what was acknowledged at its level, when anything was.
    """
    lives = [diary for diary in read_lives(journal) if diary.shown is not None]
    if acked and any(last >= 0 for last in lives[-1].reached.values()):
        newest = lives[-1]
        check(plans[newest.life], newest, rows, newest.shown or {}, floor=newest.reached)
        return
    wrong: Violation | None = None
    for diary in reversed(lives):
        try:
            check(plans[diary.life], diary, rows, diary.shown or {}, floor={})
        except Violation as error:
            wrong = wrong or error
        else:
            return
    if rows and wrong:
        raise wrong


def check(
    plan: Plan,
    diary: Diary,
    rows: Rows,
    base: Rows,
    *,
    crashed: bool = True,
    floor: Mapping[int, int] | None = None,
) -> None:
    """Raise Violation unless `rows` is an allowed outcome of `plan` on a store that held `base`.

    A crash may take back what was acknowledged at `memory`; without one, every acknowledgement
    counts. floor: up to which step each thread's must be there, instead.
    """
    options: dict[int, list[int]] = {}
    for thread in range(plan.threads):
        steps = steps_of(plan, thread)[: diary.started[thread] + 1]
        mine = set(keys_of(plan, thread))
        shown = {key: number for key, number in rows.items() if key in mine}
        before = {key: number for key, number in base.items() if key in mine}
        failed = [index for (who, index) in diary.failed if who == thread]
        least = (diary.floor if crashed else diary.acked) if floor is None else floor
        needed = least.get(thread, -1)
        found = list(explanations(steps, before, shown, failed))
        options[thread] = [last for last in found if last >= needed]
        if not options[thread]:
            raise Violation(describe(steps, before, shown, found, needed))
    touched = {key for thread in range(plan.threads) for key in keys_of(plan, thread)}
    for key in (rows.keys() | base.keys()) - touched:
        if rows.get(key) != base.get(key):
            raise Violation(
                f"{key.hex()} changed from {base.get(key)} to {rows.get(key)}: nobody wrote it"
            )
    settle(options, diary)


def explanations(
    steps: Sequence[Step], base: Rows, shown: Rows, failed: list[int]
) -> Iterable[int]:
    """Every step up to which `steps` lead from `base` to `shown`; -1 for none of them.

    A failed step may have happened or not, one that is not atomic also in part.
    """
    choices = [range(len(steps[index].atoms()) + 1) for index in failed]
    for counts in itertools.islice(itertools.product(*choices), MOST_CHOICES):
        done = dict(zip(failed, counts, strict=True))
        model = dict(base)
        if model == shown:
            yield -1
        for index, step in enumerate(steps):
            atoms = step.atoms()[: done.get(index)]
            for atom in atoms[:-1]:
                atom.apply(model)
                if model == shown:
                    yield index - 1
            for atom in atoms[-1:]:
                atom.apply(model)
            if model == shown:
                yield index


def settle(options: dict[int, list[int]], diary: Diary) -> None:
    """Find one prefix of the whole order among the explanations of the threads.

    If a thread's step survived, so did every step of the others that was acknowledged before it
    began, and every step with a smaller seqno. Raising the threads until this holds finds the least
    such prefix, if there is one.
    """
    least = {thread: min(found) for thread, found in options.items()}
    moved = True
    while moved:
        moved = False
        for thread, last in list(least.items()):
            for other, needed in needs(thread, last, diary).items():
                if other == thread or least[other] >= needed:
                    continue
                higher = [upto for upto in options[other] if upto >= needed]
                if not higher:
                    raise Violation(
                        f"a hole: step {last} of thread {thread} survived,"
                        f" step {needed} of thread {other} did not"
                    )
                least[other] = min(higher)
                moved = True


def needs(thread: int, last: int, diary: Diary) -> dict[int, int]:
    """How far the other threads must have survived, if `thread` survived up to step `last`."""
    needed = dict(diary.before.get((thread, last), {}))
    newest = max(
        (s for (who, index), s in diary.seqno.items() if who == thread and index <= last), default=0
    )
    for (other, index), seqno in diary.seqno.items():
        if other != thread and seqno < newest:
            needed[other] = max(needed.get(other, -1), index)
    return needed


def describe(steps: Sequence[Step], base: Rows, shown: Rows, found: list[int], floor: int) -> str:
    if found:
        last = max(found)
        return (
            f"lost: survivors end at step {last}, but step {floor} was acknowledged: {steps[floor]}"
        )
    model = dict(base)
    closest = (len(shown) + 1, -1, "")
    for index, step in enumerate([None, *steps]):
        if step:
            step.apply(model)
        wrong = {key for key in model.keys() | shown.keys() if model.get(key) != shown.get(key)}
        detail = ", ".join(
            f"{k[:12].hex()}: {shown.get(k)} for {model.get(k)}" for k in sorted(wrong)[:5]
        )
        closest = min(closest, (len(wrong), index - 1, detail))
    count, last, detail = closest
    return (
        f"no prefix: nearest is step {last} with {count} keys wrong (shown for expected): {detail}"
    )
