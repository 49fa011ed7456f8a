"""Finding the LMDB that the lmdb package ships, for the engine to call."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import PathFinder
from typing import Any

from shardkv import errors
from shardkv._core import ffi, lib
from shardkv._native.codes import error_from
from shardkv._native.crossing import owned


def find_lmdb_module() -> str:
    """Return the path of the lmdb package's compiled module, whose LMDB the engine calls.

    Raises: FormatError when the package has none (a pure or foreign build).
    """
    # Found without being imported: only the compiled module is wanted, and at once.
    package = importlib.util.find_spec("lmdb")
    places = package.submodule_search_locations if package is not None else None
    for found in (
        PathFinder.find_spec("lmdb.cpython", places) if places is not None else None,
        importlib.util.find_spec("lmdb_cffi"),
    ):
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
    return owned(out[0], lib.skv_lmdb_free)


def lmdb_version(lmdb: Any) -> int:
    """Return 10000 * major + 100 * minor + patch."""
    return int(lib.skv_lmdb_version(lmdb))
