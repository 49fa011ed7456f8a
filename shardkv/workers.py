"""The threads that run the engine's loops. Each stays inside C, without the GIL, until the store stops."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from shardkv._native import LOOPS, Engine
from shardkv.errors import OutOfMemoryError

START_S = 1.0


class Workers:
    """One thread for each loop: sync, log, flush.

    Daemon threads: interpreter exit does not wait for them, it stops the store (see `registry`).
    """

    def __init__(self, engine: Engine) -> None:
        self._handle = engine.handle
        self._begun: list[tuple[threading.Thread, threading.Event]] = []

    def start(self) -> None:
        """Start them. Whatever this raises, `join` waits for those that began.

        Raises: OutOfMemoryError: there can be no more threads.
        """
        for name, loop in LOOPS.items():
            runs = threading.Event()
            thread = threading.Thread(
                target=run, args=(loop, self._handle, runs), name=f"shardkv-{name}", daemon=True
            )
            self._begun.append((thread, runs))
            try:
                thread.start()
            except RuntimeError as error:
                self._begun.pop()
                raise OutOfMemoryError(f"no thread for the store's {name} loop: {error}") from error

    def join(self) -> None:
        """Wait until all loops returned; the engine was told to stop before. A Ctrl-C is raised after that."""
        with contextlib.ExitStack() as each:  # each one, whatever came at another
            for thread, runs in self._begun:
                each.callback(outlast, thread, runs)


def run(loop: Callable[[Any], int], handle: Any, runs: threading.Event) -> None:
    """The life of one thread."""
    runs.set()
    loop(handle)


def outlast(thread: threading.Thread, runs: threading.Event) -> None:
    """Wait for the end of a thread, however often Ctrl-C is pressed: what it uses is freed next."""
    try:
        if runs.wait(START_S):  # Ctrl-C may have come while it was being started
            thread.join()
    finally:
        if thread.is_alive():
            outlast(thread, runs)
