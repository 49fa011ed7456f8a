"""Every subset of the three directories of a family removed, emptied or rolled back: what a quorum has is served, and
what no quorum can prove is refused, never guessed."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import random
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shardkv

OPTIONS: dict[str, Any] = {"shards": 2, "segment_bytes": (64 << 10, 1 << 20)}
FATES = ("kept", "removed", "emptied", "rolled back")
OLDER, NEWER = 20, 50


def write(store: shardkv.Store, first: int, behind: int) -> None:
    for number in range(first, behind):
        store.put(b"key/%d" % number, b"%d" % number * 20)


def contents(path: Path) -> dict[bytes, bytes]:
    with shardkv.open(path, readonly=True) as store:
        return dict(store.scan())


def expected(count: int) -> dict[bytes, bytes]:
    return {b"key/%d" % number: b"%d" % number * 20 for number in range(count)}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the three directories held at two moments, and the place where they belong."""
    root = tmp_path_factory.mktemp("family")
    home = root / "home"
    home.mkdir()
    with shardkv.open(home / "a", peers=[home / "b", home / "c"], ack="all", **OPTIONS) as store:
        write(store, 0, OLDER)
    shutil.copytree(home, root / "older")
    with shardkv.open(home / "a", ack="all") as store:
        write(store, OLDER, NEWER)
    shutil.copytree(home, root / "newer")
    return root


def befall(family: Path, name: str, fate: str) -> None:
    where = family / "home" / name
    shutil.rmtree(where, ignore_errors=True)
    if fate == "emptied":
        where.mkdir()
    elif fate != "removed":
        shutil.copytree(family / ("newer" if fate == "kept" else "older") / name, where)


def held_by(fate: str) -> int:
    return {"kept": NEWER, "rolled back": OLDER}.get(fate, 0)


COMBINATIONS = [
    (a, *others) for a in FATES for others in itertools.combinations_with_replacement(FATES, 2)
]


@pytest.mark.parametrize("fates", COMBINATIONS, ids=", ".join)
def test_what_a_quorum_has_is_served_and_nothing_is_guessed(
    family: Path, rng: random.Random, fates: tuple[str, str, str]
) -> None:
    peers = rng.sample(["b", "c"], 2)
    for name, fate in zip(["a", *peers], fates, strict=True):
        befall(family, name, fate)
    home = family / "home"
    readable = [fate for fate in fates if held_by(fate)]
    others = [fate for fate in fates[1:] if held_by(fate)]

    def open_it() -> shardkv.Store:
        return shardkv.open(home / "a", peers=[home / "b", home / "c"], ack="quorum", **OPTIONS)

    if not held_by(fates[0]) and others:
        with pytest.raises(shardkv.FencedError, match="promote"):
            open_it()
    elif fates[0] == "rolled back" and "kept" in others:
        with pytest.raises(shardkv.FencedError, match="older copy"):
            open_it()
    elif held_by(fates[0]) and len(readable) < 2:
        with pytest.raises(shardkv.AckError, match="fewer than a quorum") as told:
            open_it()
        assert str(told.value).count("(holds no store)") == 2 - sum(map(held_by, others))
    else:  # the primary and another one; or nothing is left at all
        with open_it() as store:
            count = held_by(fates[0])
            assert dict(store.scan()) == expected(count)
            store.put(b"key/%d" % count, b"%d" % count * 20, ack="disk")
            until_all(store)
        for name in "abc":
            assert contents(home / name) == expected(count + 1)
        return
    for name, fate in zip(["a", *peers], fates, strict=True):  # refused: nobody lost anything
        if held_by(fate):
            assert contents(home / name) == expected(held_by(fate))
        else:
            assert (home / name).exists() == (fate == "emptied")


def until_all(store: shardkv.Store) -> None:
    """Wait until every peer has everything."""
    for _ in range(100):
        try:
            store.put(b"key/0", b"0" * 20, ack="all")
        except shardkv.AckError:
            continue
        return
    pytest.fail(f"{store.peers!r}")


def test_half_of_a_family_is_no_quorum(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with shardkv.open(a, peers=[b], ack="quorum", **OPTIONS) as store:
        write(store, 0, OLDER)
        pickled = pickle.dumps(store)
    shutil.rmtree(b)
    for open_it in (lambda: shardkv.open(a, ack="quorum"), lambda: pickle.loads(pickled)):
        with pytest.raises(shardkv.AckError, match="2 directories, of which 1 can be read"):
            open_it()
    with shardkv.open(a) as store:
        until_all(store)
    assert contents(a) == contents(b) == expected(OLDER)


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Let nobody write there: by modes, for root by a mount; skipped, loudly, where neither works."""
    if os.geteuid():
        inside = [path, *path.rglob("*")]
        for each in inside:
            each.chmod(0o500 if each.is_dir() else 0o400)
        yield
        for each in inside:
            each.chmod(0o700 if each.is_dir() else 0o600)
        return
    commands = [["mount", "--bind", str(path), str(path)]]
    commands.append(["mount", "-o", "remount,ro,bind", str(path)])
    for command in commands:
        if subprocess.run(command, capture_output=True, check=False).returncode:
            warnings.warn("NOT RUN: read-only directories, for root without mounts", stacklevel=1)
            pytest.skip("NOT RUN: read-only directories, for root without mounts")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("ack", ["disk", "quorum"])
@pytest.mark.parametrize("names", ["a", "b", "bc", "ac", "abc"])
def test_what_cannot_be_written_to_is_told_and_the_others_go_on(
    family: Path, names: str, ack: Any
) -> None:
    for name in "abc":
        befall(family, name, "kept")
    home = family / "home"
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(read_only(home / name))
        if "a" in names:
            with pytest.raises(shardkv.DiskError, match=r"Read-only|denied"):
                shardkv.open(home / "a", ack=ack)
        elif len(names) == 2 and ack == "quorum":
            with pytest.raises(shardkv.AckError, match="fewer than a quorum"):
                shardkv.open(home / "a", ack=ack)
        else:
            with shardkv.open(home / "a", ack=ack) as store:
                assert dict(store.scan()) == expected(NEWER)
                store.put(b"key/0", b"0" * 20)
                with pytest.raises(shardkv.AckError, match="of which it needs 2"):
                    store.put(b"key/0", b"0" * 20, ack="all")
                failed = [peer for peer in store.peers.status() if peer.state == "failed"]
                assert {peer.path for peer in failed} == {str(home / name) for name in names}
                assert all("DiskError" in peer.why for peer in failed)
    for name in "abc":
        assert contents(home / name) == expected(NEWER)
