"""The threads that run the engine's loops. Each stays inside C, without the GIL, until the store stops."""

from __future__ import annotations

import threading

from shardkv._native import LOOPS, Engine


class Workers:
    """One thread for each loop: sync, log, flush.

    Daemon threads: interpreter exit does not wait for them, it stops the store (see `registry`).
    """

    def __init__(self, engine: Engine) -> None:
        self._threads = [
            threading.Thread(
                target=loop, args=(engine.handle,), name=f"shardkv-{name}", daemon=True
            )
            for name, loop in LOOPS.items()
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all loops returned; the engine was told to stop before."""
        for thread in self._threads:
            thread.join()
