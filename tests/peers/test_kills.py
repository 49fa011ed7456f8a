"""kill -9 at random moments under each ack level: what was acked is in as many directories as was promised, each is a
prefix without holes, and all become equal again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from crash.children import Child, Children, open_request, rows_of, run_request
from crash.oracle import Violation, check_lives, check_peer
from crash.plan import Plan
from crash.power import scaled
from crash.test_kill9 import wait_until_open
from peers.cutting import check_reached

from shardkv.places import holds_store

LIVES = 4


class Family:
    """A store and two peers, killed again and again."""

    def __init__(self, where: Path, openers: Children, seed: int) -> None:
        self.where, self.seed = where, seed
        self.store, self.peers = where / "a", (where / "b", where / "c")
        self.journal = where / "journal"
        self.plans: list[Plan] = []
        self._openers = openers
        self._rng = random.Random(seed)
        where.mkdir()
        self.journal.touch()

    def live_and_die(self, level: str) -> bool:
        """One life, killed; says whether it was."""
        rng = self._rng
        flavour, threads = rng.choice(["mixed", "writes", "large"]), rng.choice([1, 3])
        self.plans.append(Plan(self.seed, 2_000, threads, flavour, len(self.plans)))
        options = {
            "peers": [str(peer) for peer in self.peers],
            "ack": level,
            "unflushed_bytes": rng.choice([8 << 20, 256 << 20]),
        }
        request = run_request(self.store, self.plans[-1], self.journal, options=options)
        with Child() as child:
            child.send(request)
            if rng.random() < 0.9:
                wait_until_open(self.journal, child, self.plans[-1].life)
            return not child.answers_within(rng.uniform(0, 0.6))

    def rows(self, path: Path) -> dict[bytes, int]:
        """What a directory shows that is opened alone."""
        if not holds_store(str(path)):
            return {}
        request = open_request("read", path, self.seed, options={"readonly": True})
        answer = self._openers.ask(request)
        assert "rows" in answer, f"{path.name}: {answer}"
        return rows_of(answer)

    def check_peers(self, level: str) -> None:
        """Each is a prefix; those that the level asks for have what was acked at it."""
        journal = self.journal.read_bytes()
        if b"shown" not in journal:
            return
        lacking: list[Violation] = []
        for peer in self.peers:
            rows = self.rows(peer)
            check_peer(self.plans, journal, rows, acked=False)
            try:
                check_reached(self.plans, journal, rows)
            except Violation as error:
                lacking.append(error)
        allowed = {"all": 0, "quorum": 1, "disk": 2}[level]
        if len(lacking) > allowed:
            raise lacking[0]

    def settle(self) -> None:
        """Open again: everything acked is there, and all three become equal."""
        options = {"peers": [str(peer) for peer in self.peers], "ack": "disk"}
        with Child(module="peers.child") as child:
            request = open_request("settle", self.store, self.seed, options=options)
            answer: dict[str, Any] = child.ask(request, 100)
        assert "rows" in answer, answer
        check_lives(self.plans, self.journal.read_bytes(), rows_of(answer))
        whole = self.rows(self.store)
        assert whole == rows_of(answer)
        for peer in self.peers:
            assert self.rows(peer) == whole, f"{peer.name} differs"


@pytest.mark.parametrize("level", ["disk", "quorum", "all"])
def test_kills_lose_nothing_that_was_acked_in_any_directory_that_was_promised(
    openers: Children, scratch: Path, rng: random.Random, level: str
) -> None:
    kills: list[bool] = []

    def work(seed: int) -> None:
        family = Family(scratch / str(seed), openers, seed)
        for _ in range(LIVES):
            kills.append(family.live_and_die(level))
            try:
                family.check_peers(level)
                family.settle()
            except AssertionError as error:
                raise type(error)(f"{family.plans[-1]}, {level}: {error}") from None

    openers.for_each([rng.getrandbits(32) for _ in range(scaled(2))], work)
    print(f"{sum(kills)} kills in {len(kills)} lives")
    assert sum(kills) > len(kills) // 2
