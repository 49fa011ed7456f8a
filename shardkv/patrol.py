"""The patrol: a scrub that goes on in the background for as long as a store is open."""

from __future__ import annotations

import logging
import threading
import time

from shardkv._native import Engine
from shardkv.checks import Finding
from shardkv.errors import Error
from shardkv.passes import Pass
from shardkv.peers import Peers
from shardkv.stats import ScrubStats
from shardkv.stopping import Stop

PASS_S = 60.0  # a pass over little begins no sooner after the one before: each starts a process
JOIN_S = 5.0


class Patrol:
    """The thread that makes one pass after the other.

    What it finds is in `Store.stats()`, and goes to the logger "shardkv" as an error, once.
    """

    def __init__(self, path: str, engine: Engine, peers: Peers, bytes_per_s: int) -> None:
        self._path, self._engine, self._peers, self._pace = path, engine, peers, bytes_per_s
        self._stop = Stop()
        self._passes, self._why = 0, ""
        self._ended_at: float | None = None
        self._told: set[tuple[object, ...]] = set()
        self._now = self._last = self._begun()
        self._thread = threading.Thread(target=self._run, name="shardkv-scrub", daemon=True)
        self._thread.start()

    def status(self) -> ScrubStats:
        """Return how it is with it."""
        now, last = self._now, self._last
        return ScrubStats(
            bytes_per_s=self._pace,
            passes=self._passes,
            ended_at=self._ended_at,
            bytes=now.tally.bytes,
            records=now.tally.records,
            findings=tuple(dict.fromkeys((*last.findings, *now.findings))),
            not_compared=dict(last.not_compared),
            why=self._why,
        )

    def stop(self) -> None:
        """Tell it to end: a process that reads is ended."""
        self._stop.set()

    def join(self) -> None:
        """Wait for it, after the engine was told to stop; a peer whose disk hangs is left behind."""
        self._thread.join(JOIN_S)

    def _begun(self) -> Pass:
        return Pass(self._path, self._engine, self._peers, self._stop, self._hear)

    def _run(self) -> None:
        while not self._stop.told:
            began = time.monotonic()
            self._now = self._begun()
            try:
                self._now.run(self._pace)
            except (Error, OSError, MemoryError) as error:  # told, and tried again
                self._fail(error)
            else:
                self._finish(self._now)
            self._stop.sleep(max(0.0, began + PASS_S - time.monotonic()))

    def _finish(self, done: Pass) -> None:
        self._last, self._why = done, ""
        self._told = {identity(finding) for finding in done.findings}
        self._ended_at = time.time()
        self._passes += 1

    def _fail(self, error: BaseException) -> None:
        if self._stop.told:
            return
        why = f"{type(error).__name__}: {error}"
        if why != self._why:
            self._why = why
            self._log().warning("the scrub of %s was not finished: %s", self._path, why)

    def _hear(self, finding: Finding) -> None:
        if identity(finding) not in self._told:
            self._told.add(identity(finding))
            self._log().error("the scrub of %s found damage: %s", self._path, finding)

    def _log(self) -> logging.Logger:
        return logging.getLogger("shardkv")


def identity(finding: Finding) -> tuple[object, ...]:
    """What makes two findings one: the text may count."""
    return finding.peer, finding.file, finding.offset, finding.seqno
