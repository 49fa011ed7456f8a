"""Opening a store for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec

from shardkv import opening
from shardkv import store as synchronous
from shardkv.aio.pending import Pending
from shardkv.aio.store import Store

P = ParamSpec("P")


def pending(call: Callable[P, synchronous.Store]) -> Callable[P, Pending[Store]]:
    """Turn the opening of a store into something to await, or to enter."""

    @wraps(call)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Pending[Store]:
        return Pending(partial(_open, partial(call, *args, **kwargs)))

    return begin


async def _open(call: Callable[[], synchronous.Store]) -> Store:
    """Open in a thread of its own: replay reads the whole log, and is no operation."""
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return Store(await asyncio.shield(work))
    except asyncio.CancelledError:
        unwanted = await work
        await asyncio.to_thread(unwanted.close, flush=False)
        raise


open = pending(opening.open)
