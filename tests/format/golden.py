"""What the golden stores hold, and how one is made: `python tests/format/golden.py v1.tar.gz`.

A golden store is never made again for a format that was released: it is what that release wrote.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import shardkv
from shardkv.expiry import TTL_MAX

FLUSHED = {b"flushed/%d" % i: b"value %d" % (i * i) for i in range(200)}
LOGGED = {b"logged/%d" % i: bytes(range(i)) for i in range(50)}
REPLACED = {b"flushed/7": b"newer", b"empty": b""}
LASTING = {b"lasting": b"for a hundred years"}
DELETED = [b"flushed/9", b"logged/3"]
MOMENT = datetime(2020, 2, 29, 12, 0, 0, 1, tzinfo=UTC)
TYPED: dict[Any, Any] = {
    b"\0\xff": None,
    "": [True, (1, ("x", ())), {"a": 1.5, 2: b"y"}],
    "a\0b": MOMENT,
    ("user", 7, ("a\0", b"\0")): 2**64 - 1,
    -(2**70): -(2**63),
    0: "zero",
    2**70: "é",
}
NUMBERS = {-5: {"a": [1, None]}, 5: "five"}


def content() -> dict[bytes, bytes]:
    """What a reader must find."""
    found = {**FLUSHED, **LOGGED, **REPLACED, **LASTING}
    for key in DELETED:
        del found[key]
    return found


def make(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "store"
        store = shardkv.open(path, shards=3, weights=[1, 2, 1], segment_bytes=(65536, 65536))
        store.put_many(FLUSHED)
        store.flush()
        store.put_many(LOGGED)
        with store.batch() as batch:
            for key, value in REPLACED.items():
                batch.put(key, value)
            for key in DELETED:
                batch.delete(key)
        store.put_many(LASTING, ttl=TTL_MAX)
        store.namespace("typed").put_many(TYPED)
        store.namespace("numbers", codec="json", key_codec="int").put_many(NUMBERS)
        store.namespace("gone")["a"] = 1
        store.drop_namespace("gone")
        store.lease("job", 0.001)
        store.close(flush=False)
        with tarfile.open(target, "w:gz") as archive:
            for file in sorted(path.rglob("*")):
                if file.name not in ("lock.mdb", "LOCK"):
                    archive.add(file, file.relative_to(path), recursive=False)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
