"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        file: relative to the directory of the store, or of the peer.
        offset: byte offset in it; 0 when it is the file as a whole.
        seqno: of the record concerned; 0 when none is.
        text: what is wrong, and what it means.
        peer: directory of the peer whose file it is; empty: it is the store's own.
    """

    file: str
    offset: int
    seqno: int
    text: str
    peer: str = ""

    def __str__(self) -> str:
        file = f"{self.peer}/{self.file}" if self.peer else self.file
        place = f"{file} at byte {self.offset}" if self.offset else file
        return f"{place}: {self.text}" if place else self.text


def finding_of(told: dict[str, Any]) -> Finding:
    """Return what a child told as a finding."""
    return Finding(told["file"], told["offset"], told["seqno"], told["text"])
