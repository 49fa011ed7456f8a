"""Power cuts of a backup, first or growing, on a disk of its own: the old one or more of it, never half of one.

The store is cut at the same moment: it must not lose what its backup holds.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import shardkv

from .child import EXTRA
from .children import Child, Children, open_request
from .power import Recording, State, crash_states, on_disks_of_their_own, scaled
from .shim import settings
from .test_increment import Source
from .trace import read_trace

EXTRA_WRITES = 3
SYNC_MS = 2
THE_END = 40  # events
AFTER_PROMISES = 5
CHECKED = 0.1  # a check takes as long as ten states
Rows = dict[bytes, bytes]


def request_of(root: Path, extra: int) -> dict[str, Any]:
    options = {"shards": None}
    dest = str(root / "backup" / "copy")
    return open_request("backup", root / "source", 0, options=options, dest=dest, extra=extra)


class Cuts:
    """A source, with a backup of it or without, of which the next backup is recorded."""

    def __init__(self, where: Path, shim: Path, rng: random.Random, *, grows: bool) -> None:
        self.where, self.seed, self.grows = where, rng.getrandbits(32), grows
        self.root, self.coins = where / "root", random.Random(self.seed)
        (self.root / "backup").mkdir(parents=True)
        self.source = Source(self.root, rng)
        self.source.write(60, flush=True)
        self.source.write(20, flush=False)
        self.first = -1
        if grows:
            with Child() as child:
                self.first = child.ask(request_of(self.root, 0))["seqno"]
            self.source.write(80, flush=True)
            self.source.write(40, flush=False)
        self.last = len(self.source.states) - 1
        base, trace, marks = (where / name for name in ("base", "trace", "marks"))
        shutil.copytree(self.root, base)
        armed = settings(self.root, trace=trace, marks=marks, sync_ms=SYNC_MS)
        with Child(shim) as child:
            answer = child.ask({**request_of(self.root, EXTRA_WRITES), "shim": armed})
        assert answer["seqno"] >= self.last + EXTRA_WRITES, answer
        self.recording = Recording(self.root, base, list(read_trace(trace)), [])

    def expected(self, seqno: int) -> Rows:
        """Return the rows of the source as it was at a seqno."""
        rows = dict(self.source.states[min(seqno, self.last)])
        return {**rows, EXTRA: b"%d" % (seqno - 1)} if seqno > self.last else rows

    def seqno_of(self, path: Path, story: str) -> int:
        """Return the seqno that a store is of; -1 when it is none."""
        if not path.exists() or not {entry.name for entry in path.iterdir()} - {"LOCK"}:
            return -1
        copy = self.where / "looked-at"
        shutil.copytree(path, copy)
        try:
            with shardkv.open(copy, create=False, readonly=True) as store:
                seqno = store.stats().seqno
                assert dict(store) == self.expected(seqno), f"{story}: wrong at {seqno}"
        except shardkv.FormatError as error:
            if "not finished" not in str(error):
                raise
            return -1
        finally:
            shutil.rmtree(copy)
        return seqno

    def check(self, openers: Children, state: State) -> str:
        """Judge a state, restore what is there, then make the backup again; says what was there."""
        copy, new = state.path / "backup" / "copy", state.path / "restored"
        found = self.seqno_of(copy, state.story)
        whole = self.seqno_of(state.path / "source", state.story)
        assert self.last <= whole, f"{state.story}: the source ends at {whole}"
        assert found <= whole, f"{state.story}: the backup has {found}, the source {whole}"
        assert found >= (self.last if state.journal else self.first), f"{state.story}: {found}"
        assert found in (-1, self.first) or found >= self.last or self.grows, state.story
        if found >= 0:
            self.restore(copy, new, found, state.story)
        answer = openers.ask(request_of(state.path, 0))
        assert answer.get("seqno") == whole, f"{state.story}: not to be made again: {answer}"
        assert self.seqno_of(copy, state.story) == whole
        if self.coins.random() < CHECKED:
            assert shardkv.check(copy, pages=False).ok, state.story
        shutil.rmtree(state.path)
        if state.journal:
            return "promised"
        return "none" if found < 0 else "old" if found == self.first else "new"

    def restore(self, copy: Path, new: Path, found: int, story: str) -> None:
        assert shardkv.restore(copy, new).seqno == found
        assert self.seqno_of(new, story) == found
        shutil.rmtree(new)
        if self.grows:
            past = shardkv.restore(copy, new, until=self.first).seqno
            assert self.seqno_of(new, story) == past == self.first


def campaign(cuts: Cuts, openers: Children, states: int) -> Counter[str]:
    """Half of the states are from the end, where it is decided which of the two is there."""
    seen: Counter[str] = Counter()
    events = cuts.recording.events
    for start in (0, len(events) - THE_END):
        found = crash_states(
            cuts.recording,
            cuts.where,
            states // 2,
            cuts.seed,
            start=start,
            cuts_of=on_disks_of_their_own,
            after_promises=AFTER_PROMISES,
        )
        for state in found:
            seen[cuts.check(openers, state)] += 1
    print(f"seed {cuts.seed}: {len(events)} events, {seen.total()} crash states: {dict(seen)}")
    assert seen["new"]
    assert seen["old" if cuts.grows else "none"]
    return seen


@pytest.mark.parametrize("grows", [False, True], ids=["first", "growing"])
def test_a_cut_leaves_the_old_backup_or_the_new_one(
    shim: Path, scratch: Path, openers: Children, rng: random.Random, grows: bool
) -> None:
    campaign(Cuts(scratch, shim, rng, grows=grows), openers, scaled(40))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("grows", [False, True], ids=["first", "growing"])
def test_a_cut_at_any_moment_leaves_the_old_backup_or_the_new_one(
    shim: Path, scratch: Path, openers: Children, rng: random.Random, grows: bool, number: int
) -> None:
    seen = campaign(Cuts(scratch, shim, rng, grows=grows), openers, scaled(1000))
    assert seen["promised"]
