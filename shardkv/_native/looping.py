"""The engine as an event loop uses it: calls that never wait, and the descriptor that says when to go on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from shardkv import errors
from shardkv._core import ffi, lib
from shardkv._native.atomic import Atomic
from shardkv._native.codes import AGAIN, BUSY, MEMORY, NOT_FOUND, QUORUM, error_from
from shardkv._native.crossing import Workspace, owned
from shardkv._native.following import Following
from shardkv._native.handle import Handle
from shardkv._native.looking import Looking

NO_TURN: Final = ffi.new("skv_turn *")


class NotYet(Exception):
    """There is no room, or no answer yet: nothing was appended; let some time pass, or wait for room, and call again.

    Attributes:
        why: what the engine said.
        retry_s: seconds to let pass; 0 means wait for room.
        room: what to arm for.
    """

    def __init__(self, ws: Workspace) -> None:
        super().__init__("call again")
        self.why = error_from(ws.c.error)
        self.retry_s = ws.c.retry_ns / 1e9
        self.room = int(ws.c.room)


class Debt:
    """What has to be durable before the answers since it was cleared may be used; the acks of writes included.

    And the place on the line of `configure`'s limits that belongs to the write which is being tried again: for a thread
    its workspace keeps it, but a loop takes another one for each try.

    Attributes:
        write, level: a write that has to reach a level which peers have a part in; 0: none.
    """

    __slots__ = ("level", "seqno", "turn", "write")

    def __init__(self) -> None:
        self.clear()
        self.turn: Any = NO_TURN

    def clear(self) -> None:
        """Say that nothing is owed."""
        self.restore((0, 0, 0))

    def owed(self) -> tuple[int, int, int]:
        """Return what is owed."""
        return self.seqno, self.write, self.level

    def restore(self, owed: tuple[int, int, int]) -> None:
        """Let that be owed which `owed` returned."""
        self.seqno, self.write, self.level = owed


class Unwaiting(Atomic, Looking, Following):
    """An open store for one event loop. Calls never wait: they answer at once, on credit, or raise NotYet.

    Attributes:
        debt: of this engine and those made from it.
    """

    def __init__(self, engine: Handle) -> None:
        vars(self).update(vars(engine))
        self._inner = None
        self.debt = Debt()
        self._work_with(engine.flags | lib.SKV_IO_NO_WAIT)

    def take(self) -> Workspace:
        """Borrow a workspace for one call."""
        ws = super().take()
        ws.c.wait_seqno = ws.c.wait_ack = 0
        ws.c.turn = self.debt.turn[0]
        return ws

    def give(self, ws: Workspace) -> None:
        """Give it back, and note what its answer rests on."""
        self.wait(ws.c.wait_seqno)
        if ws.c.wait_ack:
            self.reach(ws.c.seqno, ws.c.wait_ack, 0)
        super().give(ws)

    def reach(self, seqno: int, level: int, timeout: float) -> None:
        """Note that a write has to reach a level."""
        self.wait(seqno)
        if level >= QUORUM:
            self.debt.write, self.debt.level = max(self.debt.write, seqno), level

    def see_ack(self, seqno: int, level: int) -> None:
        """Return when seqno, which is durable here, has reached the level; raise NotYet while it may do so.

        Raises: AckError: it cannot; ClosedError.
        """
        ws = self.take()
        code = lib.skv_wait_ack(self.handle, seqno, level, 0, ws.c)
        if code == AGAIN:
            raise NotYet(ws)
        if code != 0:
            raise error_from(ws.c.error)
        self.give(ws)

    def wait(self, seqno: int, timeout: float | None = None) -> bool:
        """Note that seqno has to be durable."""
        self.debt.seqno = max(self.debt.seqno, seqno)
        return True

    def settle(
        self,
        code: int,
        ws: Workspace,
        timeout: float,
        again: Callable[[], int],
        answers: Collection[int] = (NOT_FOUND,),
    ) -> int:
        """Take the outcome of a write."""
        self.debt.turn = NO_TURN
        if code == BUSY:
            self.debt.turn = ffi.new("skv_turn *", ws.c.turn)
            raise NotYet(ws)
        if code < 0 and code not in answers:
            self.wait(ws.c.wait_seqno)  # what an error tells of a key rests on something, too
            raise error_from(ws.c.error)
        return code

    def give_up(self) -> None:
        """Forget the write that was told NotYet: others need not wait for its turn."""
        if self.debt.turn[0].epoch:
            ws = self.take()
            lib.skv_give_up(self.handle, ws.c)
            self.debt.turn = NO_TURN
            super().give(ws)

    def _end(self, code: int, ws: Workspace) -> int:
        """Take the outcome of a call that has no more to say, and its workspace."""
        self.settle(code, ws, 0, _never)
        self.give(ws)
        return code

    def delete_some(self, blob: bytes, ack: int, tally: list[int]) -> None:
        """Delete the keys of a packed list; add how many were there to the tally, room or not."""
        ws = self.take()
        code = lib.skv_delete_many(self.handle, blob, len(blob), ack, ws.c)
        if code in (0, BUSY):
            tally[0] += ws.c.bytes
            self.wait(ws.c.wait_seqno)  # of a round that had no room, too
            if ack != MEMORY:
                self.reach(ws.c.seqno, ack, 0)
        self._end(code, ws)

    def count(self) -> int:
        """Return the number of keys."""
        ws = self.take()
        n = int(lib.skv_count(self.handle, ws.c))
        if n == AGAIN:
            raise NotYet(ws)
        return self._end(n, ws)

    def start_flush(self) -> int:
        """Ask for everything that is appended now to be flushed; return the newest seqno of that."""
        ws, seqno = self.take(), self.last_seqno()
        self._end(lib.skv_flush_start(self.handle, seqno, ws.c), ws)
        return seqno

    def see_flush(self, seqno: int) -> None:
        """Return when everything up to seqno is flushed, raise NotYet when it is not."""
        ws = self.take()
        code = lib.skv_flush_upto(self.handle, seqno, 0, ws.c)
        if code == AGAIN:
            raise NotYet(ws)
        self._end(code, ws)


def _never() -> int:
    raise AssertionError("a call that does not wait is not made again by itself")


class Notifier:
    """One descriptor that becomes readable when what was armed for is there. One thread."""

    def __init__(self, engine: Unwaiting) -> None:
        out, self._err = ffi.new("skv_notifier **"), ffi.new("skv_error *")
        self._durable = ffi.new("uint64_t *")
        if lib.skv_notifier_open(engine.handle, out, self._err) != 0:
            raise error_from(self._err)
        self._handle = owned(out[0], lib.skv_notifier_free, engine.handle)
        self._closed = False
        self.fd = int(lib.skv_notifier_fd(self._handle))

    def arm(self, seqno: int) -> bool:
        """Ask for a signal when seqno is durable; False: read at once, none may come."""
        return self._armed(lib.skv_notifier_arm(self._live(), seqno, self._err))

    def arm_room(self, room: int) -> bool:
        """Ask for a signal when there may be room; False: there may be now."""
        return self._armed(lib.skv_notifier_arm_room(self._live(), room, self._err))

    def _live(self) -> Any:
        if self._closed:
            raise errors.ClosedError("the store is closed")
        return self._handle

    def _armed(self, code: int) -> bool:
        if code not in (0, AGAIN):
            raise error_from(self._err)
        return code == AGAIN

    def read(self) -> int:
        """Take the signal and return the newest durable seqno."""
        self._over = lib.skv_notifier_read(self._live(), self._durable, self._err) != 0
        return int(self._durable[0])

    def failure(self) -> errors.Error | None:
        """After a read: why nothing more will become durable; None when that goes on."""
        return error_from(self._err) if self._over else None

    def close(self) -> None:
        """Give the descriptor back; what is asked afterwards is a ClosedError."""
        self._closed = True
        ffi.release(self._handle)
