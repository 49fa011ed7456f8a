"""What a transaction does behind its surface: takes a cut, remembers reads and writes, commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardkv import _native
from shardkv._native import Engine
from shardkv.batch import check_size
from shardkv.errors import ClosedError, ConflictError, InvalidError
from shardkv.mapping import MISSING
from shardkv.overlay import Write
from shardkv.readset import ReadSet
from shardkv.snapshot import Snapshot
from shardkv.stripes import current_owner, running_loop

if TYPE_CHECKING:
    from shardkv.registry import Shared


class Work:
    """The cut, the reads and the writes of one transaction, whoever looks at it."""

    def __init__(self, shared: Shared, engine: Engine, ack: int, timeout: float) -> None:
        self.shared = shared
        self.engine = engine
        self.ack = ack
        self.timeout = timeout
        self.owner: object = None
        self.snapshot: Snapshot | None = None
        self.reads = ReadSet()
        self.writes: dict[bytes, Write] = {}
        self.bytes = 0
        self.seqno: int | None = None
        self.conflicted = False

    def begin(self) -> None:
        """Take the cut.

        Raises: InvalidError when a transaction of this store is open here; ClosedError when this one was used before.
        """
        owner = current_owner(running_loop())
        if self.owner is not None:
            raise ClosedError("the transaction is over; begin a new one")
        try:
            if self.shared.transactions.setdefault(owner, self) is not self:
                raise InvalidError(
                    "a transaction of this store is open in this thread already; transactions do not nest"
                )
            self.owner = owner
            self.snapshot = Snapshot(self.engine)
        finally:
            if self.snapshot is None and self.shared.transactions.get(owner) is self:
                del self.shared.transactions[owner]

    def cut(self) -> Any:
        """Return the handle of the cut.

        Raises: ClosedError outside its `with` block; InvalidError in another thread or task.
        """
        if self.snapshot is None:
            raise ClosedError(f"the transaction {self.state()}; use it in its `with` block")
        if current_owner(running_loop()) is not self.owner:
            raise InvalidError("the transaction belongs to another thread or task")
        return self.snapshot._live()

    def write(self, key: bytes, write: Write) -> None:
        """Keep a write until the commit; a later one replaces it."""
        self.cut()
        before = self.writes.get(key, MISSING)
        total = self.bytes + len(write[0] if write else b"")
        total += len(key) if before is MISSING else -len(before[0] if before else b"")
        check_size(total)
        self.writes[key] = write
        self.bytes = total

    def commit(self) -> None:
        """Append all writes at once, if nothing that was read has changed."""
        cut, engine = self.cut(), self.engine.reserved()
        items = [
            key if write is None else (key, *write) if write[1] else (key, write[0])
            for key, write in self.writes.items()
        ]
        if not items:
            return  # what was read is one cut by itself
        conditions = self.reads.conditions(_native.snapshot_seqno(cut))
        blob = _native.pack([items, conditions, self.reads.ranges(), self.reads.expires_ms()])
        try:
            self.seqno = engine.apply_if(cut, blob, _native.terms(self.ack), self.timeout)
        except ConflictError as error:
            self.conflicted = True
            raise ConflictError(self._explain(error.offset), seqno=error.version) from None

    def _explain(self, broken: int) -> str:
        keys, ranges = self.reads.keys(), self.reads.ranges()
        if broken < len(keys):
            what = f"{self.shared.catalogue.tell(keys[broken])}, which was read,"
        elif broken < len(keys) + len(ranges):
            what = self.shared.catalogue.tell_range(*ranges[broken - len(keys)])
        else:
            return "a key that was scanned has expired since the transaction began; nothing was written"
        return f"{what} has changed since the transaction began; nothing was written"

    def state(self) -> str:
        """Say in words how far it is."""
        if self.snapshot is not None:
            return "is open"
        return "has not begun" if self.owner is None else "is over"

    def end(self) -> None:
        """Let go of the cut and of all that was collected."""
        snapshot, self.snapshot = self.snapshot, None
        if snapshot is not None:
            self.shared.transactions.pop(self.owner, None)
            snapshot.close()
