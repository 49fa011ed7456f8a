"""The diary of a workload, kept outside the store: what it intended, was promised, and saw.

One line per write call, so that the shim can put it in its place among the file calls. A kill -9
cuts a long line off at a page: the last line counts only when it is whole.
"""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


class Journal:
    """Writes the diary."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, *words: object) -> None:
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())

    def life(self, number: int) -> None:
        """A new process takes over the store."""
        self.note("life", number)

    def shown(self, rows: dict[bytes, int]) -> None:
        """What the store held when it was opened: all of it was read, so all of it must stay."""
        self.note("shown", *(f"{key.hex()}:{number}" for key, number in rows.items()))

    def intends(self, thread: int, index: int) -> None:
        self.note("intends", thread, index)

    def acked(self, thread: int, index: int, seqno: int, disk: bool) -> None:
        self.note("acked", thread, index, seqno, int(disk))

    def reached(self, thread: int, index: int) -> None:
        """A change was acknowledged at the store's own level."""
        self.note("reached", thread, index)

    def failed(self, thread: int, index: int, error: BaseException) -> None:
        self.note("failed", thread, index, type(error).__name__)

    def saw(self, thread: int, index: int) -> None:
        """A reader was given what a `disk` writer wrote: from now on it must stay."""
        self.note("saw", thread, index)

    def wrong(self, text: str) -> None:
        self.note("wrong", text.replace("\n", " "))

    def close(self) -> None:
        os.close(self._fd)


@dataclass
class Diary:
    """One life read back. Indexes count a thread's steps from 0; -1 means none yet."""

    life: int = 0
    shown: dict[bytes, int] | None = None  # None: the store was not open yet
    started: dict[int, int] = field(default_factory=lambda: defaultdict(lambda: -1))
    acked: dict[int, int] = field(default_factory=lambda: defaultdict(lambda: -1))
    floor: dict[int, int] = field(
        default_factory=lambda: defaultdict(lambda: -1)
    )  # must survive a power cut
    reached: dict[int, int] = field(
        default_factory=lambda: defaultdict(lambda: -1)
    )  # must be in the peers that the level asks for
    before: dict[tuple[int, int], dict[int, int]] = field(
        default_factory=dict
    )  # what was acked when it began
    seqno: dict[tuple[int, int], int] = field(default_factory=dict)
    failed: dict[tuple[int, int], str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def take(self, word: str, rest: list[str]) -> None:
        """Take in one line."""
        if word == "wrong":
            self.wrong.append(" ".join(rest))
            return
        if word == "shown":
            pairs = (item.split(":") for item in rest if item)
            self.shown = {bytes.fromhex(key): int(number) for key, number in pairs}
            return
        thread, index = int(rest[0]), int(rest[1])
        if word == "intends":
            self.started[thread] = index
            self.before[thread, index] = dict(self.acked)
        elif word == "failed":
            self.failed[thread, index] = rest[2]
        elif word == "saw":
            self._raise(self.floor, thread, index)
        elif word == "reached":
            self._raise(self.reached, thread, index)
        elif word == "acked":
            self._ack(thread, index, int(rest[2]), rest[3] == "1")

    def _ack(self, thread: int, index: int, seqno: int, disk: bool) -> None:
        self.acked[thread] = index
        if seqno:
            self.seqno[thread, index] = seqno
        if disk:
            self._raise(self.floor, thread, index)

    def _raise(self, floor: dict[int, int], thread: int, index: int) -> None:
        """One order for all writes: what was acknowledged before this one began is durable too."""
        for other, last in {**self.before[thread, index], thread: index}.items():
            floor[other] = max(floor[other], last)


def whole_lines(text: bytes) -> list[str]:
    """The lines that were written to their end."""
    return text.decode().split("\n")[:-1]


def read_lives(text: bytes) -> list[Diary]:
    """The lives that a journal tells of, oldest first."""
    lives: list[Diary] = []
    for line in whole_lines(text):
        word, *rest = line.split(" ")
        if word == "life":
            lives.append(Diary(int(rest[0])))
        else:
            lives[-1].take(word, rest)
    return lives
