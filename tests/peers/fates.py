"""What befalls directories of a family at the moment of a kill -9, and how whoever runs the store goes on."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from crash.children import Child, Children, open_request, rows_of, run_request
from crash.oracle import check_lives, check_peer
from crash.plan import Plan
from crash.test_kill9 import wait_until_open
from peers.test_subsets import read_only

import shardkv
from shardkv._native import look_at_lineage
from shardkv.lineage import meet, unpacked
from shardkv.places import holds_store
from shardkv.standings import stand

Rows = dict[bytes, int]
FATES = ("kept", "removed", "emptied", "rolled back", "read-only")
LOST = ("removed", "emptied", "rolled back")
LEVELS = ("disk", "quorum", "all")
LIVE_S = 0.3


class Fated:
    """A store and two peers, of which any may be lost when it is killed."""

    def __init__(self, where: Path, openers: Children, seed: int, level: str) -> None:
        self.where, self.level, self.seed = where, level, seed
        self.home, self.journal = where / "home", where / "journal"
        self.rng, self.openers = random.Random(seed), openers
        self.primary, self.peers = self.home / "a", [self.home / "b", self.home / "c"]
        self.plans: list[Plan] = []
        self.fates: dict[Path, str] = {}
        self.seen: Counter[str] = Counter()
        self.home.mkdir(parents=True)
        self.journal.touch()
        self.settle()

    def ask(self, do: str, path: Path, **more: Any) -> dict[str, Any]:
        answer = self.openers.ask(open_request(do, path, self.seed, **more), 100)
        assert "finding" not in answer, answer
        return answer

    def live(self, fates: tuple[str, ...]) -> None:
        """Live, die with these fates of primary and peers, and go on."""
        older = self.where / "older"
        shutil.rmtree(older, ignore_errors=True)
        shutil.copytree(self.home, older)
        self.fates = dict(zip([self.primary, *self.peers], fates, strict=True))
        threads = self.rng.choice([1, 3])
        self.plans.append(Plan(self.seed, 2_000, threads, "mixed", len(self.plans)))
        request = run_request(self.primary, self.plans[-1], self.journal, options=self.options())
        try:
            with contextlib.ExitStack() as held:
                with Child() as child:
                    child.send(request)
                    wait_until_open(self.journal, child, self.plans[-1].life)
                    child.answers_within(self.rng.uniform(0, LIVE_S))
                    child.freeze()
                    for path, fate in self.fates.items():
                        self.befall(path, fate, held)
                opened = self.opens()
            self.go_on(opened)
        except AssertionError as error:
            told = {path.name: fate for path, fate in self.fates.items()}
            where = f"seed {self.seed}, {self.plans[-1]}, {self.level}, {told}"
            raise AssertionError(f"{where}: {error}") from error

    def options(self, **more: Any) -> dict[str, Any]:
        return {"peers": [str(path) for path in self.peers], "ack": self.level, **more}

    def befall(self, path: Path, fate: str, held: contextlib.ExitStack) -> None:
        if fate in LOST:
            shutil.rmtree(path)
        if fate == "emptied":
            path.mkdir()
        elif fate == "rolled back":
            shutil.copytree(self.where / "older" / path.name, path)
        elif fate == "read-only":
            held.enter_context(read_only(path))

    # -- going on

    def opens(self) -> bool:
        """Open the primary as ever; says whether it does. Below a quorum, and beside newer peers, it must not."""
        answer = self.ask("read", self.primary, options=self.options())
        own, *others = self.fates.values()
        readable = [fate for fate in others if fate in ("kept", "rolled back")]
        able = own in ("kept", "rolled back")
        if "rows" in answer:
            assert able or not any(holds(fate) for fate in self.fates.values()), "it was guessed"
            if able and self.level != "disk":
                assert readable, "one of three is no quorum"
            self.check(rows_of(answer))
            self.seen["opened"] += 1
            return True
        error = answer["error"]
        assert error in ("AckError", "FencedError", "DiskError"), answer
        assert own != "kept" or not (readable or self.level == "disk"), answer
        assert (error == "DiskError") <= (own == "read-only"), answer
        assert own in ("kept", "rolled back", "read-only") or not holds_store(str(self.primary))
        self.seen[error] += 1
        return False

    def go_on(self, opened: bool) -> None:
        """What was read-only can be written to again: open the primary, or promote the best peer."""
        if self.fates[self.primary] == "read-only":
            self.fates[self.primary] = "kept"
        if not opened and not self.keeps_primary():
            self.promote()
        rows = self.settle()
        self.check(rows)

    def keeps_primary(self) -> bool:
        """Say whether the primary can go on without a promotion."""
        own = self.fates[self.primary]
        return own == "kept" or not any(holds_store(str(path)) for path in self.peers)

    def promote(self) -> None:
        """Make the best peer the primary; with less than a majority only by force."""
        there = [path for path in (self.primary, *self.peers) if holds_store(str(path))]
        peers = sorted((p for p in there if p in self.peers), key=lambda p: stand(str(p)).rank)
        target = peers[-1]
        others = [str(path) for path in there if path != target]
        answer = self.ask("promote", target, others=others)
        if "error" in answer:
            assert answer["error"] == "AckError", answer
            assert len(there) == 1, answer
            answer = self.ask("promote", target, others=others, force=True)
            self.seen["forced"] += 1
        assert answer.get("seqno") is not None, answer
        self.seen["promoted"] += 1
        self.peers = [path for path in (self.primary, *self.peers) if path != target]
        self.primary = target

    def settle(self) -> Rows:
        """Open with all peers; afterwards all are equal."""
        for path in self.peers:
            if role(self.primary) == role(path) == "primary" or self.strayed(path):
                export = self.where / "export"
                export.unlink(missing_ok=True)
                shardkv.rejoin(path, export, primary=self.primary, partial=True)
        answer = self.ask("settle", self.primary, options=self.options(ack="disk"))
        assert "rows" in answer, answer
        whole = rows_of(answer)
        for path in (self.primary, *self.peers):
            shown = self.ask("read", path, options={"readonly": True, "create": False})
            assert rows_of(shown) == whole, f"{path.name} differs after all was shipped"
        return whole

    def strayed(self, path: Path) -> bool:
        """Say whether a peer got what the primary had lost when it was opened without that peer."""
        if self.fates.get(path) != "read-only":
            return False
        own, seen = stand(str(self.primary)), stand(str(path))
        if own.lineage is None or seen.lineage is None:
            return False
        met = meet(own.lineage, own.seqno or 0, seen.lineage, seen.seqno or 0)
        self.seen["strayed"] += met.verdict == "diverged"
        return met.verdict == "diverged"

    # -- what must hold

    def check(self, rows: Rows) -> None:
        """It is a prefix; with what its level promises, when no more was lost than that bears."""
        journal = self.journal.read_bytes()
        lost = sum(fate in LOST for fate in self.fates.values())
        was, fate = next(iter(self.fates.items()))
        if was == self.primary and fate not in LOST:
            check_lives(self.plans, journal, rows)
        bears = {"disk": -1, "quorum": 1, "all": 2}[self.level]
        check_peer(self.plans, journal, rows, acked=lost <= bears)


def role(path: Path) -> str:
    """Return what a directory says that it is."""
    found = unpacked(look_at_lineage(str(path)) or b"") if holds_store(str(path)) else None
    return found.role if found else ""


def holds(fate: str) -> bool:
    """Say whether a directory with this fate holds a store."""
    return fate in ("kept", "rolled back", "read-only")
