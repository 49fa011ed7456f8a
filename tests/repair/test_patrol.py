"""The scrub in the background: what it finds, what it says, how it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stress.traffic import answer_of

import shardkv
import shardkv.aio
from shardkv import patrol
from shardkv.stats import ScrubStats

from . import stores
from .conftest import Family
from .test_quarantine import VICTIM, spoil, spoil_logs

FAST = 1 << 40
SLOW = 1  # a pass at this pace does not end while a test runs


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass begins when the one before has ended."""
    monkeypatch.setattr(patrol, "PASS_S", 0.0)


def scrubs() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "shardkv-scrub"}


@pytest.fixture(autouse=True)
def others() -> Iterator[set[threading.Thread]]:
    """Scrubs of stores that are none of ours; none of ours is left."""
    before = scrubs()
    yield before
    assert scrubs() <= before


def scrub_of(store: shardkv.Store) -> ScrubStats:
    found = store.stats().scrub
    assert found is not None
    return found


def until(store: shardkv.Store, met: Callable[[ScrubStats], bool]) -> ScrubStats:
    """Wait for what the scrub is about to do; the suite's own time limit ends it."""
    while not met(found := scrub_of(store)):
        threading.Event().wait(0.01)
    return found


def passes(store: shardkv.Store, count: int = 1) -> ScrubStats:
    """Wait for passes that begin after this call."""
    before = scrub_of(store).passes
    return until(store, lambda found: found.passes > before + count)


def child_of(store: shardkv.Store) -> subprocess.Popen[bytes]:
    """The process that reads."""
    process = store._shared.patrol._stop._child._process
    assert isinstance(process, subprocess.Popen)
    return process


@pytest.mark.parametrize("pace", [None, 0])
def test_it_is_off_unless_it_is_asked_for(
    place: Path, pace: int | None, others: set[threading.Thread]
) -> None:
    with shardkv.open(place / "store", scrub_bytes_per_s=pace) as store:
        assert store.stats().scrub is None
        assert scrubs() <= others
    with shardkv.open(place / "store") as store:
        assert store.stats().scrub is None


def test_what_was_read_is_counted(place: Path) -> None:
    with shardkv.open(place / "store", shards=2, scrub_bytes_per_s=FAST) as store:
        store.put_many({b"%03d" % n: b"v" * 97 for n in range(100)})
        store.flush()
        store.put_many({b"%03d" % n: b"v" * 97 for n in range(50)})
        found = passes(store)
        assert (found.findings, found.why, found.bytes_per_s) == ((), "", FAST)
        assert found.ended_at is not None
        assert found.ended_at > 1.7e9
        # 100 in the shards, 150 in the log; the one number may be read before the other is counted.
        until(store, lambda found: (found.records, found.bytes) == (250, 250 * 100))
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.passes = 3  # type: ignore[misc]


@pytest.mark.parametrize("where", ["shard", "log"])
@pytest.mark.parametrize("whose", ["store", "peer"])
def test_damage_is_found_and_told_once(
    place: Path, caplog: pytest.LogCaptureFixture, where: str, whose: str
) -> None:
    path, peer = place / "store", place / "peer"
    options = {**stores.SMALL, "retain_log_bytes": 1 << 20}
    with shardkv.open(path, peers=[peer], ack="all", **options) as store:
        version = store.put(VICTIM, b"here")
        stores.write(store, 200, 200, 20_000)
    with shardkv.open(path, scrub_bytes_per_s=FAST, **options) as store:
        store[b"after"] = b"it"
        passes(store)  # all is flushed, and the old log in files alone
        damaged = path if whose == "store" else peer
        (spoil if where == "shard" else spoil_logs)([damaged], VICTIM)
        found = until(store, lambda found: bool(found.findings))
        passes(store)
        store[b"still"] = b"here"
        if (where, whose) == ("shard", "store"):
            with pytest.raises(shardkv.CorruptionError):
                store.get(VICTIM)
        else:
            assert store[VICTIM] == b"here"
    finding = found.findings[0]
    assert finding.peer == (str(peer) if whose == "peer" else "")
    if where == "shard":
        assert finding.seqno == version
        assert finding.file.startswith("shards/")
    else:
        assert 0 < finding.seqno <= version
        assert finding.file.startswith("log/")
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert sum(str(finding) in line for line in told) == 1


def test_what_was_mended_is_found_no_more(family: Family, place: Path) -> None:
    (path,) = family.copies("b", place / "copies")
    spoil([path], VICTIM)
    with shardkv.open(path, scrub_bytes_per_s=FAST, **stores.SMALL) as store:
        assert len(passes(store).findings) == 1
        spoil([path], VICTIM)  # the bit is turned back
        until(store, lambda found: not found.findings)


def test_a_peer_that_was_let_go_meanwhile_is_not_told_as_damaged(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = place / "peer"
    with shardkv.open(place / "store", peers=[peer], ack="all", **stores.SMALL) as store:
        store.put(VICTIM, b"here")
        assert store.scrub().compared == (str(peer),)
        spoil([peer], VICTIM)
        assert {found.peer for found in store.scrub().findings} == {str(peer)}
        answers = iter([store.peers.engine_of(str(peer))])
        monkeypatch.setattr(store.peers, "engine_of", lambda path: next(answers, None))
        assert store.scrub().findings == ()


def test_peers_that_could_not_be_compared_are_named(place: Path) -> None:
    path, peer = place / "store", place / "peer"
    with shardkv.open(path, peers=[peer], ack="all") as store:
        store[b"k"] = b"v"
    peer.rename(place / "away")
    peer.write_text("")
    with shardkv.open(path, scrub_bytes_per_s=FAST) as store:
        assert passes(store).not_compared[str(peer)].startswith("failed: ")


NO_LOG = {**stores.SMALL, "retain_log_bytes": 0, "scrub_bytes_per_s": SLOW}


def test_closing_ends_a_pass_in_the_middle_and_the_process_that_reads(
    family: Family, place: Path
) -> None:
    (path,) = family.copies("b", place / "copies")
    store = shardkv.open(path, **NO_LOG)
    begun = until(store, lambda found: found.records > 0)
    assert (begun.passes, begun.ended_at) == (0, None)
    child = child_of(store)
    store[b"more"] = b"written"
    store.close()
    assert child.returncode == -signal.SIGKILL
    with shardkv.open(path) as store:
        assert store[b"more"] == b"written"


def test_a_process_that_somebody_ended_is_no_damage_and_holds_nothing(
    family: Family, place: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = family.copies("b", place / "copies")
    with shardkv.open(path, **NO_LOG) as store:
        until(store, lambda found: found.records > 0)
        store._shared.patrol._pace = FAST
        codes = []
        child, forget = child_of(store), store._engine.forget_guests

        def let_go() -> None:
            codes.append(child.returncode)
            forget()

        monkeypatch.setattr(store._engine, "forget_guests", let_go)
        child.send_signal(signal.SIGTERM)
        assert passes(store).findings == ()
    assert codes[0] is not None, "after its end"
    assert any("was not finished" in record.getMessage() for record in caplog.records)


def test_closing_ends_a_pass_over_the_log(place: Path) -> None:
    with shardkv.open(place / "store", scrub_bytes_per_s=SLOW) as store:
        store.put_many({b"%d" % n: b"v" * 1000 for n in range(100)})
        until(store, lambda found: 0 < found.records < 100)


def test_everybody_who_opens_it_shares_one_scrub(place: Path) -> None:
    path = place / "store"
    with shardkv.open(path, scrub_bytes_per_s=FAST) as store:
        with shardkv.open(path) as other, shardkv.open(path, scrub_bytes_per_s=FAST):
            assert scrub_of(other).bytes_per_s == FAST
        with pytest.raises(shardkv.InvalidError, match="scrub_bytes_per_s"):
            shardkv.open(path, scrub_bytes_per_s=0)
        passes(store)


def test_it_goes_on_beside_an_event_loop(place: Path) -> None:
    async def run() -> ScrubStats | None:
        async with shardkv.aio.open(place / "store", scrub_bytes_per_s=FAST) as store:
            await store.put(b"k", b"v")
            while not (found := (await store.stats()).scrub) or found.passes < 2:
                await asyncio.sleep(0)
            return found

    found = asyncio.run(run())
    assert found is not None
    assert found.findings == ()


FORK = """
import os, sys, threading, shardkv
from shardkv import patrol
patrol.PASS_S = 0.0
store = shardkv.open(sys.argv[1], scrub_bytes_per_s=1 << 40)
store.put_many({b"%d" % n: b"v" * 1000 for n in range(2000)})
for turn in range(2):
    child = os.fork()
    if child == 0:
        try:
            store.stats()
        except shardkv.ForkedError:
            sys.exit(3 if "shardkv-scrub" in [t.name for t in threading.enumerate()] else 0)
        sys.exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    passes = store.stats().scrub.passes
    while store.stats().scrub.passes < passes + 2:
        threading.Event().wait(0.01)
        assert not store.stats().scrub.why, store.stats().scrub
assert store.stats().scrub.findings == ()
store.close()
print("well")
"""


def test_a_forked_child_has_no_scrub_and_the_parents_goes_on(place: Path) -> None:
    assert answer_of(FORK, place / "store") == "well"


EXIT = """
import os, sys, shardkv
with shardkv.open(sys.argv[1], retain_log_bytes=0) as store:
    store.put_many({b"%d" % n: b"v" * 1000 for n in range(200)})
    store.flush()
store = shardkv.open(sys.argv[1], scrub_bytes_per_s=1)  # its log is empty: the shards come at once
while not store._shared.patrol._stop._child or not store._shared.patrol._stop._child._process:
    pass
print(store._shared.patrol._stop._child._process.pid, flush=True)
"""


def test_a_program_that_exits_without_closing_leaves_no_process(place: Path) -> None:
    reader = int(answer_of(EXIT, place / "store"))
    with pytest.raises(ProcessLookupError):
        os.kill(reader, 0)
