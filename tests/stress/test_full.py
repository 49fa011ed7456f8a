"""A disk that is really full: what fails says so by its type, reads go on, space mends everything.

LMDB tells of a write that a full disk cut short as of a broken disk; the engine looks at the space left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import shardkv

DISK_BYTES = 40 << 20
SMALL = {"unflushed_bytes": 1 << 20, "segment_bytes": (65536, 1 << 20), "write_timeout": 5.0}
SIZE = 150_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, on a file; only root may have one."""
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    image.touch()
    os.truncate(image, DISK_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NOT RUN: no file system to fill: {error}")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def fill(store: shardkv.Store) -> tuple[dict[bytes, bytes], Counter[str]]:
    """Write until the disk refuses; return what was acknowledged, and the kinds of refusals."""
    acked: dict[bytes, bytes] = {}
    refused: Counter[str] = Counter()
    for number in range(DISK_BYTES // SIZE):
        key, value = b"%04d" % number, bytes([number % 256]) * SIZE
        try:
            store.put(key, value)
            acked[key] = value
        except shardkv.Error as error:
            refused[type(error).__name__] += 1
            if refused.total() > 5:
                break
    return acked, refused


@pytest.mark.parametrize("left", [0, 1000, 2500, 5000])
def test_a_full_disk_is_told_as_full_and_nothing_acked_is_lost(disk: Path, left: int) -> None:
    (disk / "ballast").write_bytes(bytes(1 << 20))
    (disk / "shift").write_bytes(bytes(left * 100))
    store = shardkv.open(disk / "store", shards=2, **SMALL)
    acked, refused = fill(store)
    assert set(refused) == {"FullError"}
    assert len(acked) > 50
    with pytest.raises(shardkv.FullError):
        store.flush()
    assert store.get_many(acked) == acked
    assert list(store.scan(values=False)) == sorted(acked)
    with pytest.raises(shardkv.FullError):
        store.close()
    with pytest.raises(shardkv.ClosedError):
        store.get(b"0000")
    (disk / "ballast").unlink()
    (disk / "shift").unlink()
    with shardkv.open(disk / "store", **SMALL) as store:
        assert dict(store.items()) == acked


LIMITED = """
import resource, sys, shardkv
store = shardkv.open(sys.argv[1], shards=1, unflushed_bytes=8 << 20)
for n in range(400):
    store.put(b"%05d" % n, bytes(4090), ack="memory")  # two pages each, and less was reserved
store.sync()
limit = store.stats().shards[0].file_bytes + 700 * 4096
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    store.flush()
except shardkv.Error as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
store.flush()
print(len(store))
store.close()
"""


def test_a_limit_of_file_sizes_is_told_as_a_full_disk(tmp_path: Path) -> None:
    """A commit that it cut short was told as a broken disk: LMDB says EIO of both."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "store"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("FullError\n400\n", "")
