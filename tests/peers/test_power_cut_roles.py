"""Power cuts of promotions and rejoins, each directory and the export on a disk of its own: no history is merged,
nothing is lost that was not exported, and doing it again comes to the same."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from crash.children import Children
from crash.power import Recording, State, scaled
from peers.cutting import Disks
from peers.families import Away, contents, family, put

import shardkv

pytestmark = pytest.mark.unsanitized  # the shim is preloaded

Keys = set[bytes]
SHARED = {b"k0", b"k1", b"k2"}
QUORUM, ALONE = {b"q"}, {b"one", b"two"}
CHAINS = (SHARED, SHARED | QUORUM, SHARED | QUORUM | ALONE)


@dataclass(frozen=True)
class Case:
    """A family in which c has more than b, and a more than both; a test does something and is cut."""

    disks: Disks
    with_old: bool
    coins: random.Random

    @property
    def export(self) -> Path:
        return self.disks.root / "exports" / "export"

    def make(self) -> None:
        """Keys that all have, that a quorum acked, that a alone has."""
        a, b, c = self.disks.paths
        (self.disks.root / "exports").mkdir()
        family(a, b, c)
        shardkv.open(
            a, retain_log_bytes=1 << 20
        ).close()  # so that b can take over what a alone has
        with Away(b):
            put(a, "q", ack="quorum")
        with Away(b, c):
            put(a, "one", "two")

    def keys(self, path: Path) -> Keys | None:
        """Return the keys that a directory shows alone, from a copy; None: it says that it is no store."""
        copy = self.disks.where / "alone"
        shutil.rmtree(copy, ignore_errors=True)
        if not path.exists():
            return None
        shutil.copytree(path, copy)
        try:
            return set(contents(copy))
        except (shardkv.FormatError, shardkv.InvalidError) as error:
            if "not finished" not in str(error) and "no store" not in str(error):
                raise
            return None

    def exported(self) -> Keys:
        """Return the keys in the export; one that is there is whole."""
        if not self.export.exists():
            return set()
        return {record.key for record in shardkv.read_export(self.export)}

    def roles(self) -> list[str]:
        return [one.role if (one := self.disks.known(path)) else "" for path in self.disks.paths]

    def settle(self, primary: Path) -> Keys:
        """Make all others peers, and all equal; return what they show."""
        for path in self.disks.paths:
            self.disks.rejoin(path, primary, self.export)
        shown = [self.equal(primary)]
        shown += [self.keys(path) or set() for path in self.disks.paths]
        assert all(keys == shown[0] for keys in shown), shown
        return shown[0]

    def equal(self, primary: Path) -> Keys:
        others = [path for path in self.disks.paths if path != primary]
        with shardkv.open(primary, peers=others, write_timeout=30) as store:
            put_all(store)
            return set(store)


def put_all(store: shardkv.Store) -> None:
    """Give all peers everything; one that is met late is waited for."""
    for _ in range(100):
        try:
            store.put(b"k0", b"shared", ack="all")
        except shardkv.AckError:
            continue
        return
    pytest.fail(f"{store.peers!r}")


def check_promoting(case: Case, state: State) -> str:
    """Promote again, or open the old primary: one of them goes on, and nothing that it must have is lost."""
    a, b, c = case.disks.paths
    shown = [case.keys(path) for path in (a, b, c)]
    assert all(keys in CHAINS for keys in shown), shown
    assert case.roles().count("primary") <= (1 if case.with_old else 2), case.roles()
    done = bool(state.journal)
    if done:
        assert case.roles()[1] == "primary", "what returned was taken back"
    old = [a] if case.with_old else []
    primary, how = b, "promoted before"
    if not done and case.coins.random() < 0.4 and opens(a):
        primary, how = a, "the old one goes on"
    elif case.roles()[1] != "primary":
        how = "promoted again"
        primary = case.disks.peers()[-1] if not case.with_old or case.coins.random() < 0.5 else b
        shardkv.promote(primary, *(p for p in (b, c) if p != primary), *old)
    if primary != a:
        with pytest.raises(shardkv.FencedError):
            shardkv.open(a, ack="quorum")
    keys = case.settle(primary)
    assert keys >= SHARED | QUORUM
    assert keys | case.exported() == SHARED | QUORUM | ALONE
    return how


def opens(path: Path) -> bool:
    """Say whether it may go on as the primary."""
    try:
        shardkv.open(path, ack="quorum").close()
    except shardkv.FencedError:
        return False
    return True


def check_rejoining(case: Case, state: State) -> str:
    """Rejoin again; what the directory alone had is in it or in the export, and in no other directory."""
    a, b, c = case.disks.paths
    shown, exported = case.keys(a), case.exported()
    assert exported in (set(), ALONE)
    assert shown == CHAINS[2] or (shown is None and exported == ALONE), (shown, exported)
    assert case.keys(b) == case.keys(c) == CHAINS[1]
    if state.journal:
        assert exported == ALONE
        assert shown is None
    if shown is not None:
        done = shardkv.rejoin(a, case.export, primary=b)
        assert (done.records, done.complete) == (2, True)
    assert case.settle(b) == CHAINS[1]
    assert case.exported() == ALONE
    return "rejoined again" if shown is not None else "rejoined before"


def check_going_on(case: Case, state: State) -> str:
    """The same for a directory that has nothing of its own: it is never dropped."""
    a, b, _ = case.disks.paths
    for path in case.disks.paths:
        assert case.keys(path) in CHAINS
    before = case.roles()[0]
    assert before == "peer" or not state.journal
    done = shardkv.rejoin(a, case.export, primary=b)
    assert not done.anew
    assert case.settle(b) == CHAINS[2]
    assert not case.export.exists()
    return f"was a {before}"


def promoting(disks: Disks, coins: random.Random, with_old: bool = False) -> tuple[Case, Recording]:
    case = Case(disks, with_old, coins)
    case.make()
    a, b, c = disks.paths
    others = [str(c), str(a)] if case.with_old else [str(c)]
    request = {"do": "promote", "path": str(b), "others": others, "options": {"segment_bytes": ()}}
    return case, disks.record([request])


def rejoining(disks: Disks, coins: random.Random) -> tuple[Case, Recording]:
    case = Case(disks, False, coins)
    case.make()
    shardkv.promote(*disks.paths[1:])
    return case, disks.record([rejoin_request(case)])


def going_on(disks: Disks, coins: random.Random) -> tuple[Case, Recording]:
    case = Case(disks, False, coins)
    case.make()
    a, b, c = disks.paths
    spare = disks.where / "spare"
    shutil.copytree(a, spare)
    shardkv.promote(b, a, c)
    shutil.rmtree(a)
    spare.rename(a)
    return case, disks.record([rejoin_request(case)])


def rejoin_request(case: Case) -> dict[str, object]:
    a, b, _ = case.disks.paths
    where = {"path": str(a), "primary": str(b), "export": str(case.export)}
    return {"do": "rejoin", **where, "options": {"segment_bytes": ()}}


PROMOTED = {"promoted before", "promoted again", "the old one goes on"}
# What is done, how a state is judged, and what the states come to.
KINDS = {
    "promoting": (promoting, check_promoting, PROMOTED),
    "promoting beside the old one": (partial(promoting, with_old=True), check_promoting, PROMOTED),
    "rejoining": (rejoining, check_rejoining, {"rejoined before", "rejoined again"}),
    "going on": (going_on, check_going_on, {"was a primary", "was a peer"}),
}


def campaign(
    where: Path, shim: Path, openers: Children, kind: str, seed: int, states: int
) -> Counter[str]:
    coins = random.Random(seed)
    make, check, _ = KINDS[kind]
    case, recording = make(Disks(where, shim, openers, seed), coins)
    seen: Counter[str] = Counter()
    events = len(recording.events)
    for start in (0, events * 2 // 3):  # what decides comes late
        for state in case.disks.states(recording, states // 2, start=start):
            try:
                seen[check(case, state)] += 1
            except (AssertionError, shardkv.Error) as error:
                raise AssertionError(f"{kind}, {state.story}: {error}") from error
    print(f"seed {seed}: {kind}: {events} events, {dict(seen)}")
    assert seen
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_of_any_disk_loses_nothing_and_merges_nothing(
    shim: Path, scratch: Path, openers: Children, rng: random.Random, kind: str
) -> None:
    campaign(scratch / "case", shim, openers, kind, rng.getrandbits(32), scaled(16))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_of_any_disk_at_any_moment_loses_nothing_and_merges_nothing(
    shim: Path, scratch: Path, openers: Children, rng: random.Random, kind: str
) -> None:
    seen: Counter[str] = Counter()
    for number in range(4):
        where = scratch / str(number)
        seen += campaign(where, shim, openers, kind, rng.getrandbits(32), scaled(250))
        shutil.rmtree(where)
    print(f"{kind}: {seen.total()} crash states: {dict(seen)}")
    assert seen.keys() == KINDS[kind][2]
