"""Durability "group": writes return when they are visible, and a sync soon covers all of them.

shardkv does that by itself. The others get a thread that calls their sync once in GROUP_SECONDS, which
is also the most that a power cut takes back, beside the time of the sync itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.engines import Durability, Engine

GROUP_SECONDS = 0.01


@contextlib.contextmanager
def synced_behind(engine: Engine) -> Iterator[None]:
    """Sync `engine` in the background for as long as the block runs, if its durability asks for it."""
    if engine.setup.durability is not Durability.GROUP or engine.syncs_behind:
        yield
        return
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(GROUP_SECONDS):
            engine.sync_behind()

    with ThreadPoolExecutor(1, thread_name_prefix="sync") as pool:
        syncing = pool.submit(work)
        try:
            yield
        finally:
            stop.set()
        syncing.result()  # a failed sync fails the turn
