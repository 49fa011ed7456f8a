"""An open store inside this process: handle, workspaces, waiting, the end."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from shardkv._core import ffi, lib
from shardkv._native.calls import Calls
from shardkv._native.codes import AGAIN, SLICE_MS, error_from
from shardkv._native.crossing import WORKSPACE_BYTES_KEPT, Workspace, owned
from shardkv._native.lmdb import find_lmdb_module, load_lmdb
from shardkv.errors import OutOfMemoryError
from shardkv.options import LOCK_STRIPES, SETTINGS, Options, Settings


def as_settings(given: Mapping[str, int | None]) -> dict[str, int]:
    """Return settings as C reads them."""
    return {name: lib.SKV_KEEP if value is None else value for name, value in given.items()}


@contextlib.contextmanager
def helping() -> Iterator[Any]:
    """Lend C a second thread, to replay a log with. It keeps what it uses, and ends by itself.

    Raises: OutOfMemoryError: there can be no more threads.
    """
    helper = owned(lib.skv_helper_new(), lib.skv_helper_free)
    thread = threading.Thread(
        target=lib.skv_helper_run, args=(helper,), name="shardkv-replay", daemon=True
    )
    try:
        try:
            thread.start()
        except RuntimeError as error:
            raise OutOfMemoryError(f"no thread to open the store with: {error}") from error
        yield helper
    finally:
        lib.skv_helper_dismiss(helper)
        if thread.is_alive():  # else it ends by itself: Ctrl-C came while it was being started
            thread.join()


class Handle:
    """One open store, without its reads and writes. Every method may be called from any thread."""

    def __init__(self, path: str, options: Options) -> None:
        self.options = options
        self.lmdb = load_lmdb(find_lmdb_module())
        self.handle = self._open(path)
        self.options = self._in_force()
        self._work_with(0)

    def _work_with(self, flags: int) -> None:
        self.flags = flags
        self._inner: Self | None = None
        self._idle: list[Workspace] = []
        self.calls = Calls(int(ffi.cast("uintptr_t", self.handle)), self.handle, flags)

    def reserved(self) -> Self:
        """Return this engine as namespaces and the like use it: its calls may meet reserved keys."""
        if self.flags & lib.SKV_IO_RESERVED:
            return self
        if self._inner is None:
            twin = copy.copy(self)
            twin._work_with(self.flags | lib.SKV_IO_RESERVED)
            self._inner = twin
        return self._inner

    def _open(self, path: str) -> Any:
        options = self.options
        kept = [ffi.new("char[]", os.fsencode(path))]
        asked = ffi.new("skv_options *")
        asked.path = kept[0]
        asked.lmdb = self.lmdb
        asked.shards = options.shards or 0
        if options.weights is not None:
            kept.append(ffi.new("uint32_t[]", options.weights))
            asked.weights = kept[1]
        asked.create = options.create
        asked.readonly = options.readonly
        asked.following = options.following
        asked.settings = as_settings({name: getattr(options, name) for name in SETTINGS})
        asked.segment_bytes_min, asked.segment_bytes_max = options.segment_bytes or (0, 0)
        asked.map_bytes = options.map_bytes or 0
        out, err = ffi.new("skv_store **"), ffi.new("skv_error *")
        with helping() as asked.helper, contextlib.ExitStack() as undo:
            undo.callback(lambda: lib.skv_free(out[0]))  # a Ctrl-C is raised as the call returns
            if lib.skv_open(asked, out, err) != 0:
                raise error_from(err)
            undo.pop_all()
        return owned(out[0], lib.skv_free, self.lmdb)

    def _in_force(self) -> Options:
        full = ffi.new("skv_options *")
        lib.skv_options_read(self.handle, full)
        return Options(
            shards=full.shards,
            weights=tuple(full.weights[i] for i in range(full.shards)),
            **{name: getattr(full.settings, name) for name in SETTINGS},
            create=self.options.create,
            readonly=self.options.readonly,
            following=self.options.following,
            segment_bytes=(full.segment_bytes_min, full.segment_bytes_max),
            map_bytes=full.map_bytes,
            lock_stripes=self.options.lock_stripes or LOCK_STRIPES,
            scrub_bytes_per_s=self.options.scrub_bytes_per_s or 0,
            quarantined=self.options.quarantined,
        )

    def configure(self, given: Mapping[str, int | None]) -> None:
        """Change the settings that are not None.

        Raises: InvalidError, ReadOnlyError, FullError, DiskError, ClosedError.
        """
        self.ask(lib.skv_configure, self.handle, ffi.new("skv_settings *", as_settings(given)))
        self.options = self._in_force()

    def settings(self) -> Settings:
        """Return the settings in force."""
        found = ffi.new("skv_settings *")
        lib.skv_settings_read(self.handle, found)
        return Settings(**{name: getattr(found, name) for name in SETTINGS})

    def take(self) -> Workspace:
        """Borrow a workspace for one call."""
        try:
            return self._idle.pop()
        except IndexError:
            return Workspace(self.flags)

    def give(self, ws: Workspace) -> None:
        """Give it back; one that grew large is let go."""
        if ws.c.capacity <= WORKSPACE_BYTES_KEPT:
            if ws.c.capacity != ws.capacity:
                ws.refresh()
            self._idle.append(ws)

    def ask(self, call: Callable[..., int], *args: Any) -> int:
        """Make a call that leaves nothing in its workspace but an error; return its answer. Raises: that error."""
        ws = self.take()
        answer = call(*args, ws.c)
        if answer < 0:
            raise error_from(ws.c.error)
        self.give(ws)
        return answer

    def wait(self, seqno: int, timeout: float | None = None) -> bool:
        """Wait until seqno is durable; False when the time is over. Ctrl-C ends it."""
        ws = self.take()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE_MS if deadline is None else int((deadline - time.monotonic()) * 1000)
            code = lib.skv_wait(self.handle, seqno, max(0, min(SLICE_MS, left)), ws.c)
            if code != AGAIN:
                break
            if deadline is not None and time.monotonic() >= deadline:
                break
        if code not in (0, AGAIN):
            raise error_from(ws.c.error)
        self.give(ws)
        return bool(code == 0)

    def flush(self) -> None:
        """Flush everything that is appended now."""
        seqno = self.last_seqno()
        while not self.flush_some(seqno):
            pass

    def flush_some(self, seqno: int) -> bool:
        """Let everything up to seqno be flushed, and wait for one slice; say whether it is."""
        ws = self.take()
        code = lib.skv_flush_upto(self.handle, seqno, SLICE_MS, ws.c)
        if code not in (0, AGAIN):
            raise error_from(ws.c.error)
        self.give(ws)
        return bool(code == 0)

    def last_seqno(self) -> int:
        """Return the newest appended seqno."""
        return int(lib.skv_last_seqno(self.handle))

    def durable_seqno(self) -> int:
        """Return the newest durable seqno."""
        return int(lib.skv_durable_seqno(self.handle))

    def clock_ms(self) -> int:
        """Return the store's time in Unix milliseconds: it never goes back."""
        return int(lib.skv_clock_ms(self.handle))

    def shift_clock(self, shift_ms: int) -> None:
        """For tests: take the machine's clock to be so far from what it says."""
        self.ask(lib.skv_clock_set_shift, self.handle, shift_ms)

    def suspect(self, shard: int, below_seqno: int) -> None:
        """From now on reads of a shard that find nothing, or what is older, raise CorruptionError."""
        self.ask(lib.skv_suspect, self.handle, shard, below_seqno)

    def forget_guests(self) -> None:
        """Let go of what a process held that was ended while it scrubbed."""
        self.ask(lib.skv_forget_guests, self.handle)

    def stop(self) -> None:
        """Refuse new calls, let those under way leave, sync, tell the loops to return."""
        err = ffi.new("skv_error *")
        if lib.skv_stop(self.handle, err) != 0:
            raise error_from(err)

    def close(self) -> None:
        """Release files and memory maps, after the loops returned."""
        err = ffi.new("skv_error *")
        if lib.skv_close(self.handle, err) != 0:
            raise error_from(err)

    def forked(self) -> None:
        """In a forked child: never touch what the parent owns."""
        lib.skv_forked(self.handle)
