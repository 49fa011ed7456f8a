"""Threads that start together, and children that run a few lines by themselves."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial

PATIENCE_S = 150  # below the suite's own limit
# Of Python 3.12 a fork beside threads is worth a warning; that it is well is what some scripts show.
OPTIONS = ("-P", "-X", "faulthandler", "-W", "ignore:This process:DeprecationWarning")


class Team:
    """Threads that begin together; the first that fails tells the others to end, and fails the test."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._errors: list[BaseException] = []

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Run each work in a thread of its own; those that have no end of their own watch `over`."""
        gate = threading.Barrier(len(works))
        threads = [threading.Thread(target=self._one, args=(gate, work)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            hangs = thread.is_alive()
            self.over.set()
            assert not hangs or self._errors, "a thread hangs"
        if self._errors:
            raise self._errors[0]

    def _one(self, gate: threading.Barrier, work: Callable[[], None]) -> None:
        gate.wait()
        try:
            work()
        except BaseException as error:
            self._errors.append(error)
            self.over.set()


def together(count: int, work: Callable[[int], None]) -> None:
    """Run work(0), work(1), ... in threads that begin together."""
    Team().run([partial(work, number) for number in range(count)])


def run_script(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run lines of Python in a process of their own; a crash or hang there is a failure here."""
    return subprocess.run(
        [sys.executable, *OPTIONS, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def answer_of(script: str, *arguments: object) -> str:
    """Return what a script printed, once it ended well and without a word of complaint."""
    ended = run_script(script, *arguments)
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr, ended.stderr
    return ended.stdout.strip()
