"""The only module that touches the compiled one: buffers in, bytes out, codes become exceptions.

An Engine is one open store inside this process; `registry` shares it between Store objects.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any, Final

import msgpack

from shardkv import errors
from shardkv._core import ffi, lib
from shardkv.options import Options
from shardkv.stats import LogStats, ShardStats, SnapshotStats, Stats

MEMORY: Final[int] = lib.SKV_ACK_MEMORY
DISK: Final[int] = lib.SKV_ACK_DISK
LATER: Final[int] = lib.SKV_ACK_LATER
BATCH_BYTES_MAX: Final[int] = lib.SKV_BATCH_BYTES_MAX
KEY_BYTES_MAX: Final[int] = lib.SKV_KEY_BYTES_MAX
VALUE_BYTES_MAX: Final[int] = lib.SKV_VALUE_BYTES_MAX
NOT_FOUND: Final[int] = lib.SKV_NOT_FOUND
AGAIN: Final[int] = lib.SKV_AGAIN
BUSY: Final[int] = lib.SKV_BUSY
CLOSED: Final[int] = lib.SKV_CLOSED

SLICE_MS = 100
WORKSPACE_BYTES = 64 << 10
WORKSPACE_BYTES_KEPT = 1 << 20

# One exception for each code; the answers NOT_FOUND, AGAIN and BUSY never leave this module.
CODES: Final[dict[int, type[errors.Error]]] = {
    lib.SKV_CLOSED: errors.ClosedError,
    lib.SKV_FORKED: errors.ForkedError,
    lib.SKV_LOCKED: errors.LockedError,
    lib.SKV_READ_ONLY: errors.ReadOnlyError,
    lib.SKV_KEY_TOO_LONG: errors.KeyTooLongError,
    lib.SKV_VALUE_TOO_LARGE: errors.ValueTooLargeError,
    lib.SKV_CONFLICT: errors.ConflictError,
    lib.SKV_FULL: errors.FullError,
    lib.SKV_CORRUPT: errors.CorruptionError,
    lib.SKV_POISONED: errors.PoisonedError,
    lib.SKV_FORMAT: errors.FormatError,
    lib.SKV_IO: errors.DiskError,
    lib.SKV_NO_MEMORY: errors.OutOfMemoryError,
    lib.SKV_INVALID: errors.InvalidError,
    lib.SKV_WRONG_TYPE: errors.WrongTypeError,
    lib.SKV_LOCK_TIMEOUT: errors.LockTimeoutError,
    lib.SKV_OVERLOADED: errors.OverloadedError,
    lib.SKV_ACK: errors.AckError,
    lib.SKV_FENCED: errors.FencedError,
}

_put = lib.skv_put
_get = lib.skv_get


def error_from(err: Any) -> errors.Error:
    """Make the exception that a filled skv_error stands for."""
    kind = CODES.get(err.code, errors.Error)
    return kind(
        ffi.string(err.text).decode("utf-8", "replace"),
        file=ffi.string(err.file).decode("utf-8", "replace"),
        offset=err.offset,
        seqno=err.seqno,
        sys_errno=err.sys_errno,
    )


def as_bytes(value: object, what: str) -> bytes:
    """Copy a bytes-like object.

    Raises: TypeError for anything else; for str it points to namespaces.
    """
    if isinstance(value, str):
        raise TypeError(
            f"the {what} is str, but a store holds bytes: encode it, or use store.namespace() for typed "
            "keys and values"
        )
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"the {what} must be bytes-like, not {type(value).__name__}")
    return bytes(value)


def pack(items: object) -> bytes:
    """Encode a batch or a list of keys for one crossing.

    Raises: TypeError when something in it is no bytes-like object.
    """
    blob: bytes = msgpack.packb(items)
    return blob


class Workspace:
    """A reusable skv_io with a cached view of its buffer."""

    __slots__ = ("c", "capacity", "view")

    def __init__(self) -> None:
        made = lib.skv_io_new(WORKSPACE_BYTES)
        if made == ffi.NULL:
            raise errors.OutOfMemoryError("out of memory: no workspace for a call")
        self.c = ffi.gc(made, lib.skv_io_free)
        self.refresh()

    def refresh(self) -> None:
        """Look at the buffer anew: C may have replaced it with a larger one."""
        self.capacity: int = self.c.capacity
        self.view = ffi.buffer(self.c.data, self.capacity)

    def data(self) -> bytes:
        """Copy what the last call left in the buffer."""
        if self.c.capacity != self.capacity:
            self.refresh()
        return self.view[: self.c.bytes]  # type: ignore[no-any-return]


def find_lmdb_module() -> str:
    """Return the path of the lmdb package's compiled module, whose LMDB the engine calls.

    Raises: FormatError when the package has none (a pure or foreign build).
    """
    for name in ("lmdb.cpython", "lmdb_cffi"):
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            return found.origin
    raise errors.FormatError(
        "looked for the compiled modules lmdb.cpython and lmdb_cffi and found neither; install lmdb>=3.0"
    )


def load_lmdb(path: str) -> Any:
    """Resolve the LMDB inside a module.

    Raises: FormatError naming what was looked for.
    """
    out, err = ffi.new("skv_lmdb **"), ffi.new("skv_error *")
    if lib.skv_lmdb_load(os.fsencode(path), out, err) != 0:
        raise error_from(err)
    return ffi.gc(out[0], lib.skv_lmdb_free)


def lmdb_version(lmdb: Any) -> int:
    """Return 10000 * major + 100 * minor + patch."""
    return int(lib.skv_lmdb_version(lmdb))


class Engine:
    """One open store. Every method may be called from any thread."""

    def __init__(self, path: str, options: Options) -> None:
        self.options = options
        self.lmdb = load_lmdb(find_lmdb_module())  # lives as long as the handle
        self.handle = self._open(path)
        self._idle: list[Workspace] = []

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
        asked.unflushed_bytes = options.unflushed_bytes or 0
        asked.segment_bytes_min, asked.segment_bytes_max = options.segment_bytes or (0, 0)
        asked.map_bytes = options.map_bytes or 0
        out, err = ffi.new("skv_store **"), ffi.new("skv_error *")
        if lib.skv_open(asked, out, err) != 0:
            raise error_from(err)
        return ffi.gc(out[0], lib.skv_free)

    # -- workspaces

    def take(self) -> Workspace:
        """Borrow a workspace for one call."""
        try:
            return self._idle.pop()
        except IndexError:
            return Workspace()

    def give(self, ws: Workspace) -> None:
        """Give it back; one that grew large is let go."""
        if ws.c.capacity <= WORKSPACE_BYTES_KEPT:
            if ws.c.capacity != ws.capacity:
                ws.refresh()
            self._idle.append(ws)

    # -- writes

    def put(self, key: bytes, value: bytes, ack: int, timeout: float) -> int:
        """Append one put and wait for its ack; return its seqno."""
        try:
            ws = self._idle.pop()
        except IndexError:
            ws = Workspace()
        seqno: int = _put(self.handle, key, len(key), value, len(value), ack, ws.c)
        if seqno > 0:
            self._idle.append(ws)
            return seqno
        return self.settle(
            seqno, ws, timeout, lambda: _put(self.handle, key, len(key), value, len(value), ack, ws.c)
        )

    def settle(self, code: int, ws: Workspace, timeout: float, again: Callable[[], int]) -> int:
        """Bring a write to its end: `again` while there is no room, wait while it is not durable.

        Returns: what the call returned at last; for one that was appended, its seqno.
        Raises: OverloadedError after `timeout` seconds without room; what the code says.
        """
        deadline = time.monotonic() + timeout
        while code == BUSY:
            if time.monotonic() >= deadline:
                raise errors.OverloadedError(
                    f"no room for the write within {timeout:g} s: {error_from(ws.c.error)}; nothing was written"
                )
            code = again()
        if code == AGAIN:
            seqno = int(ws.c.seqno)
            self.wait(seqno)
            self.give(ws)
            return seqno
        if code < 0 and code != NOT_FOUND:
            raise error_from(ws.c.error)
        self.give(ws)
        return code

    def apply(self, blob: bytes, ack: int, timeout: float) -> int:
        """Append one batch; return the seqno of its last record."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_apply(self.handle, blob, len(blob), ack, ws.c))

        code = self.settle(call(), ws, timeout, call)
        return code or int(ws.c.seqno)

    def delete(self, key: bytes, ack: int, timeout: float) -> bool:
        """Delete a key; say whether it was there."""
        ws = self.take()

        def call() -> int:
            return int(lib.skv_delete(self.handle, key, len(key), ack, ws.c))

        return self.settle(call(), ws, timeout, call) != NOT_FOUND

    def pop(self, key: bytes, ack: int, timeout: float) -> bytes | None:
        """Delete a key and return what it held."""
        ws, value = self.take(), b""

        def call() -> int:
            nonlocal value
            code = int(lib.skv_pop(self.handle, key, len(key), ack, ws.c))
            if code in (0, AGAIN):
                value = ws.data()
            return code

        return None if self.settle(call(), ws, timeout, call) == NOT_FOUND else value

    def delete_many(self, blob: bytes, ack: int, timeout: float) -> int:
        """Delete the keys of a packed list; return how many were there."""
        ws, deleted = self.take(), 0

        def call() -> int:
            nonlocal deleted
            code = int(lib.skv_delete_many(self.handle, blob, len(blob), ack, ws.c))
            if code in (0, AGAIN, BUSY):
                deleted += ws.c.bytes
            return code

        self.settle(call(), ws, timeout, call)
        return deleted

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
        ws, seqno = self.take(), lib.skv_last_seqno(self.handle)
        while (code := lib.skv_flush_upto(self.handle, seqno, SLICE_MS, ws.c)) == AGAIN:
            pass
        if code != 0:
            raise error_from(ws.c.error)
        self.give(ws)

    def last_seqno(self) -> int:
        """Return the newest appended seqno."""
        return int(lib.skv_last_seqno(self.handle))

    def durable_seqno(self) -> int:
        """Return the newest durable seqno."""
        return int(lib.skv_durable_seqno(self.handle))

    # -- reads

    def get(self, snapshot: Any, key: bytes) -> bytes | None:
        """Return the value of a key, None when it is absent."""
        try:
            ws = self._idle.pop()
        except IndexError:
            ws = Workspace()
        n: int = _get(self.handle, snapshot, key, len(key), ws.c)
        if 0 <= n <= ws.capacity:
            value: bytes = ws.view[:n]
            self._idle.append(ws)
            return value
        if n == NOT_FOUND:
            self._idle.append(ws)
            return None
        return self._read(n, ws)

    def _read(self, n: int, ws: Workspace) -> bytes:
        """Finish a read: wait for a record that is not durable yet, copy what was found."""
        if n == AGAIN:
            self.wait(int(ws.c.seqno))
        elif n < 0:
            raise error_from(ws.c.error)
        value = ws.data()
        self.give(ws)
        return value

    def contains(self, snapshot: Any, key: bytes) -> bool:
        """Say whether a key is present."""
        ws = self.take()
        while (code := lib.skv_contains(self.handle, snapshot, key, len(key), ws.c)) == AGAIN:
            pass
        if code not in (0, NOT_FOUND):
            raise error_from(ws.c.error)
        self.give(ws)
        return bool(code == 0)

    def get_many(self, snapshot: Any, blob: bytes) -> list[bytes | None]:
        """Return the values of a packed list of keys, None where absent."""
        ws = self.take()
        values: list[bytes | None] = msgpack.unpackb(
            self._read(lib.skv_get_many(self.handle, snapshot, blob, len(blob), ws.c), ws)
        )
        return values

    def count(self) -> int:
        """Return the number of keys."""
        ws = self.take()
        while (n := int(lib.skv_count(self.handle, ws.c))) == AGAIN:
            pass
        if n < 0:
            raise error_from(ws.c.error)
        self.give(ws)
        return n

    def open_snapshot(self) -> Any:
        """Take one cut; return its handle, which frees itself."""
        ws, out = self.take(), ffi.new("skv_snapshot **")
        code = lib.skv_snapshot_open(self.handle, out, ws.c)
        if code not in (0, AGAIN):
            raise error_from(ws.c.error)
        handle = ffi.gc(out[0], lib.skv_snapshot_free)
        self.give(ws)
        if code == AGAIN:
            self.wait(int(ws.c.seqno))
        return handle

    def open_scan(self, snapshot: Any, start: bytes | None, stop: bytes | None, flags: int) -> Any:
        """Begin a scan; return its handle, which frees itself."""
        ws, out = self.take(), ffi.new("skv_scan **")
        from_, to = (ffi.NULL if bound is None else bound for bound in (start, stop))
        code = lib.skv_scan_open(
            self.handle, snapshot, from_, len(start or b""), to, len(stop or b""), flags, out, ws.c
        )
        if code not in (0, AGAIN):
            raise error_from(ws.c.error)
        handle = ffi.gc(out[0], lib.skv_scan_free)
        self.give(ws)
        if code == AGAIN:
            self.wait(int(ws.c.seqno))
        return handle

    def next_rows(self, scan: Any, rows_max: int, bytes_max: int) -> bytes | None:
        """Return the next rows of a scan as a packed array; None at its end."""
        ws = self.take()
        rows = lib.skv_scan_next(scan, rows_max, bytes_max, ws.c)
        if rows < 0:
            raise error_from(ws.c.error)
        blob = ws.data() if rows else None
        self.give(ws)
        return blob

    # -- looking

    def shard_of(self, key: bytes) -> int:
        """Return the number of the shard that a key belongs to."""
        ws = self.take()
        shard = int(lib.skv_shard_of(self.handle, key, len(key), ws.c))
        if shard < 0:
            raise error_from(ws.c.error)
        self.give(ws)
        return shard

    def stats(self) -> Stats:
        """Read all counters."""
        ws, c = self.take(), ffi.new("skv_stats *")
        if lib.skv_stats_read(self.handle, c, ws.c) != 0:
            raise error_from(ws.c.error)
        shards = tuple(self._shard_stats(i, ws) for i in range(lib.skv_shards(self.handle)))
        snapshots = self._snapshot_stats(c.snapshots + 16, ws)
        self.give(ws)
        log = LogStats(
            bytes=c.log_bytes,
            segments=c.log_segments,
            syncs=c.syncs,
            synced_bytes=c.synced_bytes,
            group_sizes=tuple(c.group_sizes),
            sync_us=tuple(c.sync_us),
        )
        return Stats(
            seqno=c.seqno,
            durable_seqno=c.durable_seqno,
            unflushed_bytes=c.unflushed_bytes,
            unflushed_records=c.unflushed_records,
            unflushed_age_s=c.unflushed_age_ns / 1e9,
            index_bytes=c.index_bytes,
            stall_s=c.stall_ns / 1e9,
            replayed_records=c.replayed_records,
            log=log,
            shards=shards,
            snapshots=snapshots,
        )

    def _shard_stats(self, shard: int, ws: Workspace) -> ShardStats:
        c = ffi.new("skv_shard_stats *")
        if lib.skv_shard_stats_read(self.handle, shard, c, ws.c) != 0:
            raise error_from(ws.c.error)
        return ShardStats(
            records=c.records,
            file_bytes=c.file_bytes,
            unflushed_bytes=c.unflushed_bytes,
            unflushed_records=c.unflushed_records,
            flushes=c.flushes,
            flush_s=c.flush_ns / 1e9,
            flushed_records=c.flushed_records,
            applied_seqno=c.applied_seqno,
        )

    def _snapshot_stats(self, room: int, ws: Workspace) -> tuple[SnapshotStats, ...]:
        c = ffi.new("skv_snapshot_stats[]", room)
        count = lib.skv_snapshot_stats_read(self.handle, c, room, ws.c)
        if count < 0:
            raise error_from(ws.c.error)
        return tuple(SnapshotStats(seqno=c[i].seqno, age_s=c[i].age_ns / 1e9) for i in range(count))

    # -- the end

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


NO_SNAPSHOT = ffi.NULL
REVERSE: Final[int] = lib.SKV_SCAN_REVERSE
KEYS_ONLY: Final[int] = lib.SKV_SCAN_KEYS_ONLY
LOOPS: Final[dict[str, Any]] = {
    "sync": lib.skv_run_sync,
    "log": lib.skv_run_log,
    "flush": lib.skv_run_flush,
}


def release(handle: Any) -> None:
    """Free a snapshot or scan now instead of with its last reference."""
    ffi.release(handle)


def snapshot_seqno(handle: Any) -> int:
    """Return the seqno that a snapshot shows."""
    return int(lib.skv_snapshot_seqno(handle))


def hash64(data: bytes, seed: int = 0) -> int:
    """Return XXH64, as the engine computes it."""
    return int(lib.skv_hash(data, len(data), seed))


def ring_pick(weights: list[int] | None, shards: int, hashes: list[int]) -> list[int]:
    """Return the shard of each key hash on a ring of these weights.

    Raises: InvalidError.
    """
    out, err = ffi.new("uint16_t[]", len(hashes)), ffi.new("skv_error *")
    given = ffi.NULL if weights is None else ffi.new("uint32_t[]", weights)
    if lib.skv_ring_pick(given, shards, ffi.new("uint64_t[]", hashes), len(hashes), out, err) != 0:
        raise error_from(err)
    return list(out)
