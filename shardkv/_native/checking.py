"""Reading a store that nobody has open: what is wrong with it."""

from __future__ import annotations

import os

from shardkv._core import ffi, lib
from shardkv._native.codes import error_from
from shardkv._native.crossing import Workspace, owned
from shardkv._native.lmdb import find_lmdb_module, load_lmdb
from shardkv.errors import Error

FINDINGS_MAX = 100


class Check:
    """The parts of a store, to be checked in any order. Damaged pages can end the process."""

    def __init__(self, path: str) -> None:
        self._lmdb, self._ws = load_lmdb(find_lmdb_module()), Workspace()
        pointer = lib.skv_check_open(self._lmdb, os.fsencode(path), self._ws.c)
        if pointer == ffi.NULL:
            raise error_from(self._ws.c.error)
        self._pointer = owned(pointer, lib.skv_check_free, self._lmdb)
        self.parts = int(lib.skv_check_parts(self._pointer))

    def part(self, number: int) -> tuple[list[Error], int]:
        """Check one part: the first findings, and how many there are."""
        out = ffi.new("skv_error[]", FINDINGS_MAX)
        count = lib.skv_check_part(self._pointer, number, out, FINDINGS_MAX, self._ws.c)
        if count < 0:
            raise error_from(self._ws.c.error)
        return [error_from(out[i]) for i in range(min(count, FINDINGS_MAX))], int(count)

    def close(self) -> None:
        """Let go of the store."""
        ffi.release(self._pointer)
