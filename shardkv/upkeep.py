"""What a store's keeper asks of it: durability of all, flushing, counters."""

from __future__ import annotations

from dataclasses import replace

from shardkv._native import as_bytes
from shardkv.opened import Opened
from shardkv.peers import Peers
from shardkv.stats import Stats


class Upkeep(Opened):
    """The calls of a store that concern no single key's value."""

    @property
    def peers(self) -> Peers:
        """The store's peers: to add, to remove, to look at."""
        self._live()
        return self._shared.peers

    def sync(self) -> None:
        """Wait until everything appended so far is durable. Raises: PoisonedError, ClosedError."""
        engine = self._live()
        engine.wait(engine.last_seqno())

    def flush(self) -> None:
        """Move everything appended so far from the log into the shards. Not needed for durability.

        Raises: FullError, PoisonedError, CorruptionError, DiskError, ClosedError.
        """
        self._live().flush()

    def stats(self) -> Stats:
        """Return all counters, each as it is when it is read: while others write, sums may be off by what they do.

        Raises: ClosedError.
        Cost: microseconds a shard.
        """
        shared = self._shared
        scrub = shared.patrol.status() if shared.patrol else None
        return replace(self._live().stats(), peers=shared.peers.status(), scrub=scrub)

    def shard_of(self, key: bytes) -> int:
        """Return the number, from 0 on, of the shard that `key` belongs to, there or not. Raises: as get."""
        return self._live().shard_of(as_bytes(key, "key"))
