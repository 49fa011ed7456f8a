"""Keys as YCSB writes them: "user" and the hash of the record's number, so that neighbours are far apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FNV_BASIS = 0xCBF29CE484222325
FNV_PRIME = 1099511628211

Numbers = NDArray[np.int64]


def fnv64(numbers: Numbers) -> Numbers:
    """Return the absolute value of the 64-bit FNV-1a hash of each number, lowest byte first."""
    rest = numbers.astype(np.uint64)
    found = np.full(rest.shape, FNV_BASIS, np.uint64)
    for _ in range(8):
        found ^= rest & np.uint64(0xFF)
        found *= np.uint64(FNV_PRIME)
        rest >>= np.uint64(8)
    return np.abs(found.view(np.int64))


def keys(count: int) -> list[bytes]:
    """Return the keys of the records 0 .. count - 1."""
    return [b"user%d" % number for number in fnv64(np.arange(count, dtype=np.int64)).tolist()]
