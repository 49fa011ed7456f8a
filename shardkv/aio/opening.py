"""Opening a store for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec

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
    # No task: one that ends with the loop would leave what the thread opens to nobody.
    loop, inside = asyncio.get_running_loop(), contextvars.copy_context().run
    work = loop.run_in_executor(None, partial(inside, call))
    try:
        return Store(await asyncio.shield(work))
    except asyncio.CancelledError:
        await outlast(work)
        if not work.exception():
            await outlast(loop.run_in_executor(None, partial(work.result().close, flush=False)))
        raise


async def outlast(work: asyncio.Future[Any]) -> None:
    """Wait for its end, however often this task is cancelled."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])


open = pending(opening.open)
