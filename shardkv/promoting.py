"""Promoting: a peer becomes the primary of its family, and the others learn that nobody else is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shardkv._native import Engine
from shardkv.backups import absolute
from shardkv.errors import AckError, Error, FencedError, InvalidError, LockedError
from shardkv.lineage import Lineage, meet
from shardkv.standings import Standing, held, lineage_of, stand


@dataclass(frozen=True)
class Lacking:
    """Records that another directory has and the new primary lacks: it never acked them.

    Attributes:
        path: which directory; shardkv.rejoin exports what it has.
        first_seqno, last_seqno: of the records.
    """

    path: str
    first_seqno: int
    last_seqno: int


@dataclass(frozen=True)
class Promotion:
    """What a promotion did.

    Attributes:
        path: the new primary.
        epoch: the number of the epoch that it begins; greater than any that was seen.
        seqno: its newest record: it acked everything up to here, and nothing after.
        taken: records that it took over from a directory that had more.
        members: its peers from now on.
        lacking: what directories that were read have beyond what they share with it, exactly.
        unknown: directories of the family that were not read: what they hold after `seqno` is not known.
    """

    path: str
    epoch: int
    seqno: int
    taken: int
    members: tuple[str, ...]
    lacking: tuple[Lacking, ...]
    unknown: tuple[str, ...]


def promote(
    path: str | os.PathLike[str], *others: str | os.PathLike[str], force: bool = False
) -> Promotion:
    """Make a peer the primary. Whoever was it is fenced: opened with its old peers it gets FencedError.

    What the best of the others, by epoch and seqno, has beyond it is taken over first. The others that hold a part of
    the same history become its peers, the old primary too when it is given and could be taken over whole; peers that
    are not given stay members.

    Args:
        path: the peer. Nobody may have it open.
        others: the other directories of the family that are still there, and that nobody has open.
        force: do it without a majority of the family, and without what could not be taken over.
    Returns: a Promotion: which records it never acked.
    Raises: InvalidError (not a peer, no store, another family, let go); LockedError (a directory is in use: its primary
        still lives); AckError (fewer than a majority was read); FencedError (another has more that cannot be taken
        over); CorruptionError, DiskError, FullError. Then nobody is the primary who was not; calling again goes on.
    Durability: when this returns, all of it.
    Cost: reads the log of every directory; opens each; copies what is taken over.
    """
    if not isinstance(force, bool):
        raise TypeError(f"force must be True or False, not {force!r}")
    names = [absolute(path), *map(absolute, others)]
    if len({os.path.realpath(name) for name in names}) < len(names):
        raise InvalidError("a directory is given twice")
    return Promoting([stand(name) for name in names], force).run()


class Promoting:
    """One promotion: the directories that were given, the one to promote first."""

    def __init__(self, given: Sequence[Standing], force: bool) -> None:
        self.target, self.force = given[0], force
        self.path = self.target.path
        self._refuse_unfit(given)
        self.given = given
        self.readable = [one for one in given if one.error is None and one.lineage]
        self.seen = [one.lineage for one in given if one.lineage]
        self.view = max(self.seen, key=lambda known: (known.epoch, len(known.members)))
        self.voters = [self.target, *(one for one in self.readable[1:] if not one.let_go)]
        self.refused: list[str] = []

    def run(self) -> Promotion:
        """Take over, tell the others, then become the primary."""
        self._refuse_few(len(self.voters))
        with held(self.path) as engine:
            before = self.target.seqno or 0
            if (
                lineage_of(engine, self.path) != self.target.lineage
                or engine.last_seqno() != before
            ):
                raise LockedError(f"{self.path} was written to meanwhile: its primary still lives")
            self._take_over(engine)
            last = engine.last_seqno()
            lineage = self._begun(lineage_of(engine, self.path), last)
            told = [one for one in self.voters[1:] if self._tell(one, lineage, last)]
            self._refuse_few(1 + len(told))
            engine.save_lineage(lineage.packed())
        return Promotion(
            path=self.path,
            epoch=lineage.epoch,
            seqno=last,
            taken=last - before,
            members=lineage.members,
            lacking=tuple(self._lacking(lineage, last)),
            unknown=self._unknown(),
        )

    # -- what is refused

    def _refuse_unfit(self, given: Sequence[Standing]) -> None:
        for one in given:
            if isinstance(one.error, LockedError):
                raise LockedError(
                    f"{one.error}: whoever has it lives; nothing was promoted", offset=one.error.pid
                )
        if self.target.error is not None:
            raise self.target.error
        known = self.target.lineage
        if known is None or known.role == "primary":
            raise InvalidError(
                f"{self.path} is no peer: "
                + ("it is a primary already; open it" if known else "it is of no family")
            )
        if self.target.let_go and not self.force:
            raise InvalidError(
                f"{self.path} was let go by its primary: it may lack what was acked since; force=True promotes it"
            )
        for one in given[1:]:
            other = one.lineage.family if one.lineage else None
            if other != known.family and (other or one.error is None):
                raise InvalidError(f"{one.path} is not of the family of {self.path}")

    def _refuse_few(self, count: int) -> None:
        directories = 1 + len(self.view.members)
        if self.force or 2 * count > directories:
            return
        raise AckError(
            f"the family has {directories} directories, of which {count} can be read and told: without more than half, "
            f"what was acked by a quorum may be lost. Give more of {', '.join((*self._unknown(), *self.refused))}, or "
            "force=True to go on without"
        )

    # -- what is done

    def _take_over(self, engine: Engine) -> None:
        """Take what the best directory has beyond this one; afterwards this one is the best."""
        best = max(self.readable, key=lambda one: one.rank)
        if best.rank <= self.target.rank:
            return
        for one in sorted(self.readable, key=lambda one: one.seqno or 0):
            more = one is not best and (one.seqno or 0) > engine.last_seqno()
            if more and self._follows(one, best.written, best.seqno or 0):
                with contextlib.suppress(Error):  # what it has may lie before the best one's log
                    self._take_from(one, engine)
        try:
            self._take_from(best, engine)
        except Error as error:
            if not self.force:
                raise FencedError(
                    f"{best.path} is better: it has all up to seqno {best.seqno}, {self.path} up to "
                    f"{self.target.seqno}, and the rest cannot be taken over ({error}). Promote that one, "
                    "or open it if it is the primary; force=True goes on without"
                ) from error

    def _take_from(self, best: Standing, engine: Engine) -> None:
        lineage, seqno = best.written, engine.last_seqno()
        mine = lineage_of(engine, self.path).written(seqno)
        found = meet(lineage, best.seqno or 0, mine, seqno)
        if found.verdict != "follows":
            raise FencedError(f"they share records up to seqno {found.common_seqno} only")
        with held(best.path) as other:
            if lineage_of(other, best.path) != best.lineage:
                raise LockedError(f"{best.path} was written to meanwhile")
            # Before the first record of an epoch comes here, the epoch is known here.
            assert self.target.lineage
            own = self.target.lineage
            engine.save_lineage(replace(own, history=lineage.history).packed())
            engine.ship_back(other)

    def _begun(self, known: Lineage, last: int) -> Lineage:
        highest = max(one.epoch for one in self.seen)
        lineage = known.begun(last + 1, above=highest, promoted=True)
        return replace(lineage, members=self._members(lineage, last))

    def _members(self, lineage: Lineage, last: int) -> tuple[str, ...]:
        names = {one.lineage.name: one.path for one in self.readable if one.lineage}
        kept = [names.get(name, name) for name in self.view.members]
        olds = [one.path for one in self.readable if one.old and self._follows(one, lineage, last)]
        return tuple(name for name in dict.fromkeys((*kept, *olds)) if name != self.path)

    def _follows(self, one: Standing, lineage: Lineage, last: int) -> bool:
        return meet(lineage, last, one.written, one.seqno or 0).verdict == "follows"

    def _tell(self, one: Standing, lineage: Lineage, last: int) -> bool:
        """Write the new epoch into a directory that holds a part of this history: an older primary is fenced by it."""
        if not self._follows(one, lineage, last):
            self.refused.append(f"{one.path} (it has other records)")
            return False
        try:
            with held(one.path) as engine:
                if lineage_of(engine, one.path) != one.lineage:
                    raise LockedError(f"{one.path} was written to meanwhile")
                engine.save_lineage(lineage.as_peer(self.path, one.path).packed())
        except LockedError:
            raise
        except Error as error:
            self.refused.append(f"{one.path} ({error})")
            return False
        return True

    # -- what is said

    def _lacking(self, lineage: Lineage, last: int) -> list[Lacking]:
        found = []
        for one in self.readable[1:]:
            meeting = meet(lineage, last, one.written, one.seqno or 0)
            if (one.seqno or 0) > meeting.common_seqno:
                found.append(Lacking(one.path, meeting.common_seqno + 1, one.seqno or 0))
        return found

    def _unknown(self) -> tuple[str, ...]:
        known = {one.lineage.name for one in self.readable if one.lineage}
        places = {os.path.realpath(one.path) for one in self.readable}
        family = [] if any(one.old for one in self.readable) else [self.view.primary]
        family += [*self.view.members, *(one.path for one in self.given if one.error)]
        return tuple(
            name
            for name in dict.fromkeys(family)
            if name and name not in known and os.path.realpath(name) not in places
        )
