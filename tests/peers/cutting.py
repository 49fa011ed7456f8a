"""Power cuts of a family: what its directories did is recorded, and each is cut as a disk of its own.

A directory knows the others by their paths, so each state is put where the family was when it was recorded.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crash.children import Child, Children, open_request, rows_of, run_request
from crash.journal import read_lives
from crash.oracle import Violation, check, check_lives, check_peer
from crash.plan import Plan
from crash.power import Recording, State, crash_states, on_disks_of_their_own
from crash.shim import settings
from crash.trace import read_trace

import shardkv
from shardkv._native import look_at_lineage
from shardkv.lineage import Lineage, unpacked
from shardkv.places import holds_store
from shardkv.standings import stand

Rows = dict[bytes, int]
SYNC_MS = 2
AFTER_PROMISES = 5
NOT_THERE = {"FormatError": "not finished", "InvalidError": "no store"}


class Disks:
    """The place of a family: the directories of `root`, and where its states are made."""

    def __init__(self, where: Path, shim: Path, openers: Children, seed: int) -> None:
        self.where, self.root, self.seed = where, where / "root", seed
        self.shim, self.openers = shim, openers
        self.root.mkdir(parents=True)

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """Return the primary's directory and those of its peers, as they were at first."""
        return self.root / "a", self.root / "b", self.root / "c"

    def prepare(self, plan: Plan, **options: Any) -> bytes:
        """Let a plan run on the primary without a record; return its journal."""
        journal = self.where / f"before-{plan.life}"
        request = run_request(self.paths[0], plan, journal, options=options)
        answer = self.openers.ask(request)
        assert not answer["errors"] + answer["untyped"], answer
        return journal.read_bytes()

    def record(self, requests: Iterable[dict[str, Any]], plans: Sequence[Plan] = ()) -> Recording:
        """Let a child do things, and record what this does to all directories; the marks are in where/marks."""
        base, trace, marks = (self.where / name for name in ("base", "trace", "marks"))
        shutil.copytree(self.root, base)
        armed = settings(self.root, trace=trace, marks=marks, sync_ms=SYNC_MS)
        with Child(self.shim, module="peers.child") as child:
            for request in requests:
                answer = child.ask({**request, "shim": armed})
                found = answer.keys() & {"finding", "error"} or answer.get("untyped")
                assert not found, f"seed {self.seed}: {answer}"
        return Recording(self.root, base, list(read_trace(trace)), list(plans))

    def states(
        self, recording: Recording, budget: int, *, start: int = 0, before: bytes = b""
    ) -> Iterator[State]:
        """Yield crash states from event `start` on, each in its place. Args: before: the journal before the record."""
        for state in crash_states(
            recording,
            self.where,
            budget,
            self.seed,
            start,
            cuts_of=on_disks_of_their_own,
            after_promises=AFTER_PROMISES,
        ):
            shutil.rmtree(self.root, ignore_errors=True)
            state.path.rename(self.root)
            yield replace(state, journal=before + state.journal)

    def ask(self, do: str, path: Path, **more: Any) -> dict[str, Any]:
        """Let a child do something with a directory."""
        return self.openers.ask(open_request(do, path, self.seed, **more), 100)

    def rows(self, path: Path) -> Rows | None:
        """Return what a directory shows that is opened alone, from a copy; None: it says that it is no store."""
        copy = self.where / "alone"
        shutil.rmtree(copy, ignore_errors=True)
        if not path.exists():
            return None
        shutil.copytree(path, copy)
        answer = self.ask("read", copy, options={"readonly": True, "create": False})
        if "rows" in answer:
            assert holds_store(str(path)), f"{path.name} opens, but is half made"
            return rows_of(answer)
        assert NOT_THERE.get(answer.get("error", ""), "?") in answer["text"], (
            f"{path.name}: {answer}"
        )
        assert not holds_store(str(path)), f"{path.name}: {answer}"
        return None

    def known(self, path: Path) -> Lineage | None:
        """Return what a directory says of the family; None: nothing."""
        return unpacked(look_at_lineage(str(path)) or b"") if holds_store(str(path)) else None

    def peers(self) -> list[Path]:
        """Return the directories that hold a peer, the best one last."""
        found = [path for path in self.paths if (one := self.known(path)) and one.role == "peer"]
        return sorted(found, key=lambda path: stand(str(path)).rank)

    def settle(self, primary: Path) -> Rows:
        """Open a primary with all others; return what it shows. Afterwards all show the same."""
        others = [path for path in self.paths if path != primary]
        for path in others:
            self.rejoin(path, primary, self.where / "export")
        answer = self.ask("settle", primary, options={"peers": [str(path) for path in others]})
        assert "rows" in answer, answer
        whole = rows_of(answer)
        for path in self.paths:
            shown = self.rows(path)
            assert shown == whole, f"{path.name} differs after all was shipped"
        return whole

    def rejoin(self, path: Path, primary: Path, export: Path) -> None:
        """Make an old primary a peer."""
        old = self.known(path)
        if path != primary and self.known(primary) and old and old.role == "primary":
            export.unlink(missing_ok=True)
            shardkv.rejoin(path, export, primary=primary, partial=True)


def check_prefixes(disks: Disks, recording: Recording, state: State, level: str) -> None:
    """Each directory alone is a prefix without holes; those that the level asks for have what was acked at it."""
    lacking: list[Violation] = []
    for path in disks.paths:
        rows = disks.rows(path) or {}
        if path == disks.paths[0]:
            check_lives(recording.plans, state.journal, rows)
            continue
        check_peer(recording.plans, state.journal, rows, acked=False)
        try:
            check_reached(recording.plans, state.journal, rows)
        except Violation as error:
            lacking.append(error)
    if len(lacking) > {"all": 0, "quorum": 1, "disk": 2}[level]:
        raise lacking[0]


def reached(journal: bytes) -> bool:
    """Say whether the newest life has acked anything at the store's level."""
    return b"\nreached" in journal.rpartition(b"life")[2]


def check_reached(plans: list[Plan], journal: bytes, rows: Rows) -> None:
    """Raise Violation unless all that was acked at the store's level is there: of the newest life that acked anything.

    Before a life acks anything, what it found counts, and what the one before it acked.
    """
    wrong: Violation | None = None
    for diary in reversed([diary for diary in read_lives(journal) if diary.shown is not None]):
        try:
            check(plans[diary.life], diary, rows, diary.shown or {}, floor=diary.reached)
        except Violation as error:
            wrong = wrong or error
        else:
            return
        if diary.reached:
            raise wrong


def go_on(disks: Disks, recording: Recording, state: State, level: str) -> str:
    """Go on with the primary, or promote the best peer; returns which."""
    coins = random.Random(state.story)
    peers, primary = disks.peers(), disks.paths[0]
    if len(peers) < 2 or coins.random() < 0.4:
        check_lives(recording.plans, state.journal, disks.settle(primary))
        return "settled"
    with_old = coins.random() < 0.5
    target, others = peers[-1], [peers[0], *([primary] if with_old else [])]
    done = disks.ask("promote", target, others=[str(path) for path in others])
    assert done.get("seqno") is not None, f"{target.name} is not promoted: {done}"
    rows = disks.rows(target) or {}
    if with_old:
        check_lives(recording.plans, state.journal, rows)
    elif level != "disk":
        check_reached(recording.plans, state.journal, rows)
    else:
        check_peer(recording.plans, state.journal, rows, acked=False)
    assert disks.settle(target) == rows
    return "promoted"
