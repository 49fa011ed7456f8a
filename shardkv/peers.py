"""Peers: full copies of a store in other directories, kept up to date while it is open."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shardkv._native import Engine
from shardkv.backups import absolute
from shardkv.errors import ClosedError, FencedError, InvalidError
from shardkv.greeting import refuse_unsure, take_over
from shardkv.lineage import Lineage, founded, unpacked
from shardkv.links import Link
from shardkv.pacing import Clock, Patience, Wait
from shardkv.places import refuse_place
from shardkv.stats import PeerStatus

CONTACT_S = 5.0
DRAIN_S, CLOSE_S = (
    5.0,
    5.0,
)  # at the end, for a peer's records and for its files, as long as it gets on
STILL_S = 1.0  # one that does not is left behind after this
TELL_S = 1.0


class Peers:
    """The peers of an open store: `store.peers`. A peer is a complete store of its own, which only this one writes to.

    Attributes:
        path: the store's directory.
        engine: the store's.
        lineage: what the manifest says of the family; None when there never was a peer.
    """

    def __init__(self, path: str, engine: Engine) -> None:
        self.path, self.engine = path, engine
        self._lineage = unpacked(engine.lineage())
        self._links: dict[str, Link] = {}
        self._lock, self._over = threading.Lock(), False

    @property
    def lineage(self) -> Lineage:
        """What the manifest says of the family."""
        assert self._lineage
        return self._lineage

    # -- for users

    def add(self, path: str | os.PathLike[str]) -> None:
        """Make a directory a peer, from now on and for later opens; it is copied in the background.

        Args: path: a directory that is new, empty, or was a peer of this store; its parent must exist.
        Raises: InvalidError (inside this store, another store's, a peer already); FencedError (it is a primary);
            FullError (there are eight); ReadOnlyError; ClosedError.
        """
        name = absolute(path)
        self._refuse_known(name)
        refuse_place(self.path, name, self._lineage)  # reads from a disk that may hang
        with self._lock:
            if self._over:
                raise ClosedError(f"the store {self.path} is closed")
            self._refuse_known(name)
            with contextlib.ExitStack() as undo:
                place = self.engine.add_peer(name)
                undo.callback(self.engine.remove_peer, place)
                undo.callback(self.engine.release_peer, place)
                lineage = self._lineage or self._found_family()
                self._save(replace(lineage, members=(*lineage.members, name)))
                undo.callback(self._save, lineage)
                link = self._links[name] = Link(self, name, place)
                undo.pop_all()
            link.go.set()

    def remove(self, path: str | os.PathLike[str]) -> None:
        """Let go of a peer: it is not written to any more, and stays as it is. Raises: InvalidError (it is none)."""
        with self._lock:
            name = self._known(absolute(path))
            if name is None:
                raise InvalidError(f"{path} is no peer of this store")
            left = tuple(member for member in self.lineage.members if member != name)
            self._save(replace(self.lineage, members=left))
            link = self._links.pop(name)
        self.engine.remove_peer(link.place)
        link.stop()
        now = time.monotonic()  # one whose disk hangs keeps its place until that ends
        link.join(now + STILL_S, now + CLOSE_S)

    def status(self) -> tuple[PeerStatus, ...]:
        """Return how it is with each peer."""
        return tuple(link.status() for link in tuple(self._links.values()))

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._links))

    def __len__(self) -> int:
        return len(self._links)

    def __repr__(self) -> str:
        return f"<shardkv.Peers {[f'{s.path}: {s.state}' for s in self.status()]}>"

    # -- opening and closing

    def begin(self, asked: Sequence[str] | None, *, quorum: bool) -> None:
        """Meet the peers, take over what they have beyond this store, and begin an epoch.

        Args:
            asked: directories that shall be peers; None: those that are. quorum: most of the family must be there.
        Raises: FencedError, AckError, InvalidError.
        """
        if self._lineage and self._lineage.role == "peer":
            raise FencedError(
                f"{self.path} is a peer: its primary alone writes to it. Open it with readonly=True, or make it the "
                f"primary with shardkv.promote({self.path!r})"
            )
        stored = self._lineage.members if self._lineage else ()
        names = self._members(asked, stored)
        if not names and self._lineage is None:
            return
        begun = self._lineage is not None
        self._lineage = replace(self._lineage or self._found_family(), members=names)
        for name in names:  # one by one: whatever fails, those that began are told to end
            self._links[name] = Link(self, name, self.engine.add_peer(name))
        deadline = time.monotonic() + CONTACT_S
        for link in self._links.values():
            link.greeted.wait(max(0.0, deadline - time.monotonic()))
        refuse_unsure(self, self._links, stored, quorum=quorum)
        take_over(self, self._links.values())
        if begun:  # with peers or without: one that comes back must not take what is written now for what it has
            self._save(self.lineage.begun(self.engine.last_seqno() + 1))
        else:
            self._save(self.lineage)
        for link in self._links.values():
            link.go.set()

    def _members(self, asked: Sequence[str] | None, stored: tuple[str, ...]) -> tuple[str, ...]:
        if asked is None:
            return stored
        names = tuple(dict.fromkeys(absolute(path) for path in asked))
        if lacking := [name for name in stored if name not in names]:
            raise InvalidError(
                f"peers= leaves out {', '.join(lacking)}, which this store has: use store.peers.remove"
            )
        new = [name for name in names if name not in stored]
        for name in new:
            refuse_place(self.path, name, self._lineage)
        if new and len({os.path.realpath(name) for name in names}) < len(names):
            raise InvalidError("peers= names the same directory twice")
        return names

    def engine_of(self, path: str) -> Engine | None:
        """Return the engine of a peer that the log is shipped to; None: there is none to be read."""
        link = self._links.get(path)
        if link is None or link.status().state not in ("current", "behind"):
            return None
        return link.peer

    def drain(self, *, clock: Clock = time.monotonic, wait: Wait = time.sleep) -> None:
        """Give peers that get on the time to get everything: each stands still for a second at most."""
        last, deadline = self.engine.last_seqno(), clock() + DRAIN_S
        patience = {link: Patience(STILL_S, clock=clock) for link in self._links.values()}
        while patience and clock() < deadline:
            patience = {
                link: each
                for link, each in patience.items()
                if link.lacks(last) and each.lasts(link.progress())
            }
            wait(0.005 if patience else 0)

    def stop(self) -> None:
        """Tell all links to end; there will be no others."""
        with self._lock:
            self._over = True
        for link in tuple(self._links.values()):
            link.stop()

    def join(self) -> None:
        """Wait for them; one whose disk hangs is left behind: its thread ends by itself when the disk lets it."""
        now = time.monotonic()
        for link in tuple(self._links.values()):
            link.join(now + STILL_S, now + CLOSE_S)

    def forked(self) -> None:
        """In a forked child."""
        for link in self._links.values():
            link.forked()

    def _found_family(self) -> Lineage:
        last = self.engine.last_seqno()
        self.engine.wait(last)  # what an epoch begins after cannot be lost
        return founded(last + 1)

    def _save(self, lineage: Lineage) -> None:
        self.engine.save_lineage(lineage.packed())
        self._lineage = lineage
        self._tell(*self._links.values())

    def _tell(self, *links: Link) -> None:
        """Let peers know what the lineage says; one that is too slow learns it later."""
        deadline = time.monotonic() + TELL_S
        for thread in [link.teller.tell() for link in links]:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _refuse_known(self, name: str) -> None:
        if self._known(name) is not None:
            raise InvalidError(f"{name} is a peer of this store already")

    def _known(self, name: str) -> str | None:
        """Return a peer's name as it is stored, however the directory is spelled."""
        for member in tuple(self._links):
            if member == name or os.path.realpath(member) == os.path.realpath(name):
                return member
        return None
