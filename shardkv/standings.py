"""How directories of a family stand: what each holds, seen from outside or held so that nobody else can change it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from shardkv import quarantine
from shardkv._native import Engine, look_at_lineage, look_at_standing
from shardkv.errors import Error, InvalidError
from shardkv.lineage import Lineage, unpacked
from shardkv.options import Options
from shardkv.workers import Workers


@dataclass(frozen=True)
class Standing:
    """What was seen of one directory.

    Attributes:
        path: of the directory.
        lineage: None: it could not be read, or is of no family.
        seqno: its newest record; None: not known.
        error: why something is not known; None: all is.
    """

    path: str
    lineage: Lineage | None
    seqno: int | None
    error: Error | None

    @property
    def rank(self) -> tuple[int, int]:
        """What grows with what was written; of a directory that was read."""
        assert self.lineage
        return self.lineage.rank(self.seqno or 0)

    @property
    def written(self) -> Lineage:
        """The lineage of what it holds; of a directory that was read."""
        assert self.lineage
        return self.lineage.written(self.seqno or 0)

    @property
    def old(self) -> bool:
        """Whether it was a primary last."""
        return self.lineage is not None and self.lineage.role == "primary"

    @property
    def let_go(self) -> bool:
        """Whether it is a peer that its primary let go."""
        known = self.lineage
        return known is not None and not self.old and known.name not in known.members


def stand(path: str) -> Standing:
    """Look at a directory, without writing to it. Cost: reads its log."""
    lineage, seqno = None, None
    error: Error | None = None
    try:
        blob = look_at_lineage(path)
        if blob is None:
            raise InvalidError(f"{path} holds no store")
        lineage = unpacked(blob)
        quarantine.refuse(path)
        seqno, _ = look_at_standing(path)
    except Error as failure:
        error = failure
    return Standing(path, lineage, seqno, error)


@contextlib.contextmanager
def held(path: str) -> Iterator[Engine]:
    """Open a directory as a primary opens its peer: nobody else has it, and no application writes to it."""
    engine = Engine(path, Options(create=False, following=True))
    workers = Workers(engine)
    try:
        workers.start()
        yield engine
    finally:
        try:
            engine.stop()
        finally:
            workers.join()
            engine.close()


def lineage_of(engine: Engine, path: str) -> Lineage:
    """Return the lineage of a store that is held. Raises: InvalidError: it is of no family."""
    lineage = unpacked(engine.lineage())
    if lineage is None:
        raise InvalidError(f"{path} is of no family: it never had a peer and is none")
    return lineage
