"""Transactions on lists, from many threads, over flushes and reopening: as if one came after the other."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest
from history.callers import SMALL, Beside, Door, beside_until_done, flush, flush_and_reopen, scaled
from history.cycles import ABORTED, COMMITTED, check
from history.lists import Appender, Notes, final_lists


@pytest.mark.parametrize(("threads", "shards", "beside"), [(4, 3, flush), (8, 2, flush_and_reopen)])
def test_transactions_are_as_if_one_came_after_the_other(
    tmp_path: Path, rng: random.Random, threads: int, shards: int, beside: Beside
) -> None:
    door = Door(tmp_path / "store", shards=shards, **SMALL)
    notes = Notes()
    callers = [
        Appender(n, door.store, random.Random(rng.random()), notes, ("memory", "disk"))
        for n in range(threads)
    ]
    each = scaled(2_000) // threads
    beside_until_done(door, rng, [partial(one.run, each) for one in callers], beside)
    final = final_lists(door.store())
    door.close()
    outcomes = [txn.outcome for txn in notes.txns]
    print(f"{outcomes.count(COMMITTED)} committed, {outcomes.count(ABORTED)} met a conflict")
    assert outcomes.count(COMMITTED)
    assert check(notes.txns, final)
