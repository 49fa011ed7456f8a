"""The peers of a store for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from shardkv import peers as synchronous
from shardkv.stats import PeerStatus


class Peers:
    """The peers of an open store: `store.peers`. As `shardkv.Peers`; what writes the manifest is awaited."""

    def __init__(self, peers: synchronous.Peers) -> None:
        self._peers = peers

    async def add(self, path: str | os.PathLike[str]) -> None:
        """Make a directory a peer; it is copied in the background. As `shardkv.Peers.add`.

        Cost: a thread of its own, for two syncs.
        """
        await asyncio.to_thread(self._peers.add, path)

    async def remove(self, path: str | os.PathLike[str]) -> None:
        """Let go of a peer. As `shardkv.Peers.remove`. Cost: a thread of its own, until shipping to it has ended."""
        await asyncio.to_thread(self._peers.remove, path)

    def status(self) -> tuple[PeerStatus, ...]:
        """Return how it is with each peer. Does not wait."""
        return self._peers.status()

    def __iter__(self) -> Iterator[str]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def __repr__(self) -> str:
        return repr(self._peers).replace("shardkv.", "shardkv.aio.", 1)
