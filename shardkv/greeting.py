"""What an opening learns from the peers that it meets: is there a newer primary, what have they beyond this store?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from shardkv.errors import AckError, FencedError, LogGoneError
from shardkv.lineage import meet
from shardkv.links import Link
from shardkv.telling import Head


def refuse_unsure(
    head: Head, links: Mapping[str, Link], stored: tuple[str, ...], *, quorum: bool
) -> None:
    """Raise when a newer primary is known, or may be.

    Args: links: greeted, by path; stored: those that were peers before; quorum: most of the family must be there.
    Raises: FencedError, AckError.
    """
    own = head.engine.last_seqno()
    for link in links.values():
        if link.seen is None:
            continue
        known, seqno = link.found or (link.seen, 0)
        if meet(head.lineage, own, known, seqno).verdict == "newer":
            raise FencedError(
                f"{link.path} has seen epoch {known.epoch}, but {head.path} is of epoch {head.lineage.epoch}: "
                "another directory was promoted, or this is an older copy. Open the primary, and make this one a "
                "peer again with shardkv.rejoin; what only it has is exported then"
            )
    there = 1 + sum(links[name].found is not None for name in stored)
    if quorum and stored and 2 * there <= len(stored) + 1:
        missing = [f"{link.path} ({_why(link)})" for link in links.values() if link.found is None]
        raise AckError(
            f"{head.path} and its peers are {len(stored) + 1} directories, of which {there} can be read: fewer "
            "than a quorum, so a newer primary cannot be ruled out. With ack='disk' it opens. Missing: "
            + ", ".join(missing)
        )


def _why(link: Link) -> str:
    """Say why nothing was found there."""
    return link.why or ("holds no store" if link.greeted.is_set() else "no answer in time")


def take_over(head: Head, links: Iterable[Link]) -> None:
    """Take what a peer of the same epoch has beyond the store."""
    own = head.engine.last_seqno()
    found = [(link, *link.found) for link in links if link.found]
    ahead = [
        (seqno, link.peer)
        for link, known, seqno in found
        if link.peer and meet(head.lineage, own, known, seqno).verdict == "ahead"
    ]
    for _, peer in sorted(ahead, key=lambda each: each[0]):
        # The one that has most comes last. One whose log is gone keeps what it has, and is refused as diverged.
        with contextlib.suppress(LogGoneError):
            head.engine.ship_back(peer)
