"""What a directory knows of its family: the store and its peers, and the epochs in which they were written. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import msgpack

from shardkv.errors import FormatError

Role = Literal["primary", "peer"]
EPOCHS_KEPT = 128
TERM = 1 << 32  # a promotion goes on to the next multiple


class Epoch(NamedTuple):
    """The time from one opening of a primary to the next.

    Attributes:
        number: grows; two openers may choose the same.
        id: random, so that these are told apart.
        first_seqno: of the first record that may be of this epoch.
    """

    number: int
    id: int
    first_seqno: int


@dataclass(frozen=True)
class Lineage:
    """One directory's part in a family.

    Attributes:
        family: 16 random bytes, the same in all directories.
        role: only a primary is written to by applications.
        history: epochs, oldest first.
        members: the directories of the primary's peers; a peer keeps what its primary told it last.
        primary: of a peer: the directory of its primary.
        name: of a peer: its own directory, as the primary calls it; not among the members: it was let go.
    """

    family: bytes
    role: Role
    history: tuple[Epoch, ...]
    members: tuple[str, ...] = ()
    primary: str = ""
    name: str = ""

    @property
    def epoch(self) -> int:
        """The newest epoch's number."""
        return self.history[-1].number

    def begun(self, first_seqno: int, *, above: int = 0, promoted: bool = False) -> Lineage:
        """Return this lineage as a primary's that begins an epoch. Epochs whose records never came here are left out.

        Args: above: an epoch's number that was seen elsewhere.
        """
        newest = max(self.epoch if self.history else 0, above)
        number = (newest // TERM + 1) * TERM if promoted else newest + 1
        epoch = Epoch(number, int.from_bytes(os.urandom(8), "little"), first_seqno)
        history = (*self.written(first_seqno - 1).history, epoch)[-EPOCHS_KEPT:]
        return replace(self, role="primary", history=history, primary="", name="")

    def as_peer(self, primary: str = "", name: str = "") -> Lineage:
        """Return what a peer of this primary keeps. Args: primary, name: the directories of both."""
        return replace(self, role="peer", primary=primary, name=name)

    def written(self, last_seqno: int) -> Lineage:
        """Return this lineage without epochs of which no record came here."""
        history = tuple(e for e in self.history if e.first_seqno <= last_seqno)
        return replace(self, history=history or self.history[:1])

    def rank(self, last_seqno: int) -> tuple[int, int]:
        """Return what orders directories: what a quorum acked is not in the lower of two alone."""
        return self.written(last_seqno).epoch, last_seqno

    def packed(self) -> bytes:
        """Return the bytes for a manifest."""
        blob: bytes = msgpack.packb(
            {
                "family": self.family,
                "role": self.role,
                "history": [list(epoch) for epoch in self.history],
                "members": list(self.members),
                "primary": self.primary,
                "name": self.name,
            },
            unicode_errors="surrogateescape",
        )
        return blob


def founded(first_seqno: int) -> Lineage:
    """Return the lineage of a store that gets its first peer."""
    return Lineage(os.urandom(16), "primary", ()).begun(first_seqno)


def unpacked(blob: bytes) -> Lineage | None:
    """Return the lineage in a manifest; None when there is none.

    Raises: FormatError.
    """
    if not blob:
        return None
    try:
        fields = msgpack.unpackb(blob, unicode_errors="surrogateescape")
        history = tuple(Epoch(*map(int, epoch)) for epoch in fields.pop("history"))
        members = tuple(map(str, fields.pop("members")))
        names = str(fields.pop("primary")), str(fields.pop("name"))
        found = Lineage(fields.pop("family"), fields.pop("role"), history, members, *names)
        sound = not fields and len(found.family) == 16 and found.role in ("primary", "peer")
        if not sound or not history:
            raise ValueError("fields")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(f"the manifest's lineage is not of this release: {error}") from None
    return found


class Meeting(NamedTuple):
    """How a peer's history goes with a primary's.

    Attributes:
        verdict: "follows": the peer has a prefix of what the primary has. "ahead": the other way round, within the
            primary's newest epoch: the primary may take over what it lacks. "diverged": the peer has records that the
            primary never had. "newer": it has seen an epoch after the primary's newest. "foreign": of another family.
        common_seqno: up to here both hold the same.
    """

    verdict: Literal["follows", "ahead", "diverged", "newer", "foreign"]
    common_seqno: int


def meet(primary: Lineage, primary_seqno: int, peer: Lineage, peer_seqno: int) -> Meeting:
    """Compare a primary, before it begins an epoch or within one, with a peer; seqnos are the newest of each."""
    if primary.family != peer.family:
        return Meeting("foreign", 0)
    known = {(epoch.number, epoch.id) for epoch in primary.history}
    told = [at for at, epoch in enumerate(peer.history) if (epoch.number, epoch.id) in known]
    if not told:
        return Meeting("newer" if peer.epoch > primary.epoch else "diverged", 0)
    # Who was told of an epoch had a part of what came before it, though the primary may not know all of that any more.
    shared, own = peer.history[told[-1]], peer.history[told[-1] + 1 :]
    end = min(_end_of(shared, primary.history, primary_seqno), primary_seqno)
    common = min(end, _end_of(shared, peer.history, peer_seqno), peer_seqno)
    if peer.epoch > primary.epoch:
        return Meeting("newer", common)
    if any(epoch.first_seqno <= peer_seqno for epoch in own):
        return Meeting("diverged", common)
    if peer_seqno <= end:
        return Meeting("follows", peer_seqno)
    if shared == primary.history[-1]:
        return Meeting("ahead", end)
    return Meeting("diverged", end)


def _end_of(epoch: Epoch, history: tuple[Epoch, ...], last_seqno: int) -> int:
    """Return the newest seqno of an epoch of a history."""
    later = [e for e in history if e.number > epoch.number]
    return later[0].first_seqno - 1 if later else last_seqno
