"""Promotions and rejoins that are killed anywhere: done again they come to the same, and nothing is lost meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from peers.families import Away, contents, family, lineage, put

import shardkv

# Kills itself at the n-th of the calls that change something; says "done" when there were fewer.
CHILD = """
import os, signal, sys
import shardkv
from shardkv import _native, exports, places, promoting, rejoining
left = int(sys.argv[1])
def mortal(of, name):
    real = getattr(of, name)
    def call(*given, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*given, **named)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(of, name, call)
for of, name in ((_native.Engine, "save_lineage"), (_native.Engine, "ship_back"), (_native.Engine, "stop"),
                 (_native.Engine, "close"), (os, "link"), (os, "unlink"), (os, "fsync"), (exports.Writer, "put")):
    mortal(of, name)
eval(sys.argv[2])
print("done")
"""


def killed(n: int, doing: str) -> bool:
    """Run it in a process that is killed at its n-th step; say whether it was."""
    found = subprocess.run(
        [sys.executable, "-c", CHILD, str(n), doing],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert found.returncode in (0, -signal.SIGKILL), found.stderr
    return found.returncode != 0


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A family of three in which a has more than b and c, to be copied for each kill."""
    where = tmp_path / "saved"
    where.mkdir()
    return where


def again(saved: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    paths = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(saved / path.name, path)
    return paths


def keep(saved: Path, *paths: Path) -> None:
    for path in paths:
        path.rename(saved / path.name)


STRIDES = [5, pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("stride", STRIDES)
def test_a_promotion_that_was_killed_is_done_by_the_next(
    saved: Path, tmp_path: Path, stride: int
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    family(a, b, c)
    with Away(b, c):
        put(a, "only")
    keep(saved, a, b, c)
    seen: Counter[str] = Counter()
    n = 1 - stride
    dead = True
    while dead:
        n += stride
        again(saved, tmp_path)
        dead = killed(n, f"shardkv.promote({str(b)!r}, {str(a)!r}, {str(c)!r})")
        roles = [lineage(path).role for path in (a, b, c)]
        assert roles.count("primary") <= 1
        seen[" ".join(roles)] += 1
        if lineage(b).role == "peer":
            shardkv.promote(b, *(path for path in (a, c)))
        assert [lineage(path).role for path in (a, b, c)] == ["peer", "primary", "peer"]
        with pytest.raises(shardkv.FencedError):
            shardkv.open(a)
        put(b, "new", ack="all")
        assert contents(a) == contents(b) == contents(c)
        assert {b"only", b"new"} <= set(contents(b))
    print(f"{n} steps: {dict(seen)}")
    assert seen.keys() == {"primary peer peer", "peer peer peer", "peer primary peer"}


@pytest.mark.parametrize("stride", STRIDES)
def test_a_rejoin_that_was_killed_is_done_by_the_next(
    saved: Path, tmp_path: Path, stride: int
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    export = tmp_path / "export"
    family(a, b, c)
    with Away(b, c):
        put(a, "one", "two")
    with Away(a):
        shardkv.promote(b, c)
    keep(saved, a, b, c)
    seen: Counter[str] = Counter()
    n = 1 - stride
    dead = True
    while dead:
        n += stride
        again(saved, tmp_path)
        export.unlink(missing_ok=True)
        doing = f"shardkv.rejoin({str(a)!r}, {str(export)!r}, primary={str(b)!r})"
        dead = killed(n, doing)
        there = shardkv.places.holds_store(str(a))
        seen["store" * there + " export" * export.exists()] += 1
        if there:
            if dead:
                assert set(contents(a)) >= {b"one", b"two"}
            done = shardkv.rejoin(a, export, primary=b)
            assert done.records == 2
        assert [record.key for record in shardkv.read_export(export)] == [b"one", b"two"]
        with shardkv.open(b) as store:
            store.peers.add(a)
            store.put(b"new", b"1", ack="all")
        assert contents(a) == contents(b) == contents(c)
    print(f"{n} steps: {dict(seen)}")
    assert seen.keys() == {"store", "store export", " export"}
