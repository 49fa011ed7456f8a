"""A link: the thread that keeps one peer of an open store up to date, whatever happens to the peer's disk."""

from __future__ import annotations

import contextlib
import threading
import time

from shardkv import quarantine
from shardkv._native import COPYING, CURRENT, DOWN, STATES, Copy, Engine, Ship, look_at_lineage
from shardkv.errors import ClosedError, Error, InvalidError, LogGoneError
from shardkv.lineage import Lineage, meet, unpacked
from shardkv.options import Options
from shardkv.pacing import Clock, Delays, Rests, Wait
from shardkv.places import forget, holds_store, refuse_strayed
from shardkv.stats import PeerStatus
from shardkv.telling import Head, Teller
from shardkv.workers import Workers

WELL_S = 30.0  # who was current for so long had no failure that comes again at once
HANGS_S = 2.0  # one that has everything says so at least once a second
PIECE_BYTES = 1 << 20  # of a copy: what writers may have to wait for


class Link:
    """One peer. Its thread opens the peer's directory, copies or ships to it, and begins again after a failure.

    Attributes:
        teller: lets the peer know what becomes of the family.
        greeted: set when it is known what the directory holds, or that this cannot be known now.
        seen: the lineage that was seen there, even if somebody else has it open; None: nothing, or nobody knows.
        found: lineage and newest seqno, of a directory that nobody else can change now.
    """

    def __init__(
        self,
        head: Head,
        path: str,
        place: int,
        *,
        clock: Clock = time.monotonic,
        wait: Wait | None = None,
    ) -> None:
        """Args: clock, wait: the thread's, for tests; None: until the link is told to end."""
        self.path, self.place = path, place
        self.teller = Teller(head, path)
        self.greeted, self.go = threading.Event(), threading.Event()
        self.seen: Lineage | None = None
        self.found: tuple[Lineage, int] | None = None
        self.peer: Engine | None = None
        self.why = ""
        self._head = head
        self._copy: Copy | None = None
        self._ship: Ship | None = None
        self._workers: Workers | None = None
        self._over, self._shipping = threading.Event(), threading.Lock()
        self._parting = threading.Event()  # whatever the thread was at, it heard that it shall end
        self._clock, self._wait, self._began = clock, wait or self._over.wait, clock()
        self._thread = threading.Thread(target=self._run, name="shardkv-peer", daemon=True)
        self._thread.start()

    def status(self) -> PeerStatus:
        """Return how it is with the peer."""
        engine = self._head.engine
        known, durable = engine.peer(self.place), engine.durable_seqno()
        copy, state = self._copy, STATES[known.state]
        since = known.current_s or self._began
        behind = max(0, durable - known.seqno)
        behind_s = self._clock() - since if behind else 0.0
        if state == "current" and behind_s > HANGS_S:
            state = "behind"
        return PeerStatus(
            path=self.path,
            state=state,
            seqno=known.seqno,
            behind_records=behind,
            behind_s=behind_s,
            why=self.why if state == "failed" else "",
            done=copy.done if copy else 0,
            total=copy.total if copy else 0,
            shipped_bytes=known.shipped_bytes,
        )

    def lacks(self, last: int) -> bool:
        """Say whether it makes sense to wait until the peer has everything up to a seqno, or is there at all."""
        known = self._head.engine.peer(self.place)
        there = known.state == CURRENT and known.seqno >= last
        return self.go.is_set() and known.state != DOWN and not there

    def progress(self) -> object:
        """Return what changes as the peer gets on."""
        copy, known = self._copy, self._head.engine.peer(self.place)
        return known.state, known.seqno, copy.bytes if copy else 0

    # -- the thread

    def _run(self) -> None:
        delays = Delays()
        while not self._over.is_set():
            began = self._clock()
            try:
                self._session()
            except (Error, OSError, MemoryError) as error:  # told, and tried again
                self.why = f"{type(error).__name__}: {error}"
            finally:
                if self._over.is_set():
                    self._parting.set()
                self._part()
                engine = self._head.engine
                known = engine.peer(self.place)
                engine.set_peer(self.place, DOWN, known.seqno)
            self.greeted.set()
            # A copy that fails late went as ill as one that fails early.
            self._wait(delays.next(well=known.current_s > began + WELL_S))
        self._parting.set()
        self._head.engine.release_peer(self.place)

    def _session(self) -> None:
        """Meet the peer, bring it up to date, ship to it until that ends."""
        if holds_store(self.path):
            self._open()
            assert self.found
            self._greet()
            self._follow()
        else:
            self._greet()
        while True:
            if self.peer is None:
                self._make_copy()
            try:
                self._send()
            except LogGoneError:  # it was away for too long
                self.teller.part()  # who tells writes a manifest
                forget(self.path)  # while nobody else can open it
                self._part()

    def _greet(self) -> None:
        self.greeted.set()
        while not self.go.wait(0.1):
            if self._over.is_set():
                raise ClosedError("the store is closed")

    def _open(self) -> None:
        self.seen = self._relative(look_at_lineage(self.path))
        if self.seen.role == "primary":
            self.found = self.seen, 0  # refused, whatever it has
            return
        quarantine.refuse(self.path)
        self.peer = Engine(self.path, Options(create=False, following=True))
        self._workers = Workers(self.peer)
        self._workers.start()
        # Looked at again: until it was held here, another primary could write to it.
        self.seen = self._relative(self.peer.lineage())
        self.found = self.seen, self.peer.last_seqno()

    def _relative(self, blob: bytes | None) -> Lineage:
        known = unpacked(blob) if blob else None
        if known is None or known.family != self._head.lineage.family:
            raise InvalidError(f"{self.path} holds another store, which is no peer of this one")
        return known

    def _follow(self) -> None:
        """See to it that the peer goes on from what it has.

        Raises: FencedError: it has what this store does not have.
        """
        assert self.found
        peer, seqno = self.found
        head = self._head
        refuse_strayed(
            self.path, meet(head.lineage, head.engine.last_seqno(), peer, seqno), peer, seqno
        )
        assert self.peer
        self.teller.keep(self.peer)

    def _make_copy(self) -> None:
        """Make the directory a copy of the store as it is; from then on the log is kept for it."""
        head = self._head
        head.engine.set_peer(self.place, COPYING, 0)
        lineage = head.lineage.as_peer(head.path, self.path)
        copy = self._copy = Copy.of(head.engine, self.path, lineage.packed())
        rests = Rests(head.engine.durable_seqno, clock=self._clock, wait=self._wait)
        with contextlib.closing(copy):
            while copy.next(0 if copy.seqno else PIECE_BYTES):
                if self._over.is_set():
                    raise ClosedError("the store is closed")
                if not copy.seqno:  # the log follows without rests: writers must not outrun it
                    rests.rest()
            self.peer = Engine(self.path, Options(create=False, following=True))
            self._workers = Workers(self.peer)
            self._workers.start()
            self._ship = Ship(head.engine, self.place, self.peer)
        self._copy = None
        self.teller.keep(self.peer)

    def _send(self) -> None:
        assert self.peer
        if self._ship is None:
            self._ship = Ship(self._head.engine, self.place, self.peer)
        if self._over.is_set():  # stop() may have come before there was anything to stop
            raise ClosedError("the store is closed")
        self._ship.run()

    def _part(self) -> None:
        """Close the peer, in whatever state it is."""
        peer, self.peer, self._copy = self.peer, None, None
        with self._shipping:
            if self._ship is not None:
                self._ship.close()
            self._ship = None
        if peer is None:
            return
        with contextlib.suppress(Error):
            peer.stop()
        if self._workers:
            self._workers.join()
        with contextlib.suppress(Error):
            peer.close()

    # -- the end

    def stop(self) -> None:
        """Tell the thread to end."""
        self._over.set()
        with self._shipping:
            if self._ship is not None:
                self._ship.stop()

    def join(self, by: float, at_last: float) -> None:
        """Wait until the thread has ended.

        Args: by: give up then when it has not even heard that it shall end, because the disk hangs; at_last: give up
            in any case. Both of time.monotonic().
        """
        if self._parting.wait(max(0.0, by - time.monotonic())):
            self._thread.join(max(0.0, at_last - time.monotonic()))

    def forked(self) -> None:
        """In a forked child: touch nothing of the peer's."""
        if self.peer is not None:
            self.peer.forked()
