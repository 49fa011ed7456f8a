"""How the new store takes the damaged one's place: proven and durable first, and nothing of anybody's is dropped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import shardkv
from shardkv import mending
from shardkv.errors import CorruptionError, Error
from shardkv.repairing import finish_exchange

from .conftest import Family
from .stores import EVERYTHING, rows_of
from .test_quarantine import VICTIM, spoil, spoil_logs

Steps = list[tuple[str, ...]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Every sync and every rename; a file that is synced holds something by then."""
    seen: Steps = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(fd: int) -> None:
        assert os.fstat(fd).st_size > 0
        seen.append(("sync", os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    def note_rename(old: str, new: str) -> None:
        seen.append(("rename", old, new))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    return seen


def mend(copies: list[Path]) -> None:
    mending.mend([(str(path), EVERYTHING) for path in copies])


def test_all_is_durable_before_the_places_change_and_so_is_the_change(
    family: Family, place: Path, steps: Steps
) -> None:
    copies = family.copies("bb", place / "copies")
    spoil_logs(copies, VICTIM)
    spoil(copies, VICTIM)
    mend(copies)
    (kept,) = (place / "copies").glob("*.damaged-*")
    path, beside = str(copies[0]), f"{copies[0]}.mending"
    name = f"{beside}/QUARANTINE"
    assert steps == [
        ("sync", f"{name}.new"),
        ("rename", f"{name}.new", name),
        ("sync", beside),
        ("rename", path, str(kept)),
        ("rename", beside, path),
        ("sync", str(place / "copies")),
    ]
    assert (copies[0] / "QUARANTINE").stat().st_mode & 0o777 == 0o600


def test_an_exchange_that_is_finished_is_durable(family: Family, place: Path, steps: Steps) -> None:
    (path,) = family.copies("b", place / "copies")
    beside = f"{path}.mending"
    os.rename(path, beside)
    steps.clear()
    finish_exchange(str(path))
    assert steps == [("rename", beside, str(path)), ("sync", str(place / "copies"))]


def test_a_new_store_that_is_not_sound_leaves_the_damaged_one_in_its_place(
    family: Family, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        parts = 3

        def __init__(self, path: str) -> None:
            assert path.endswith(".mending")

        def part(self, number: int) -> tuple[list[Error], int]:
            return ([CorruptionError("it is wrong", file="f")], 1) if number == 2 else ([], 0)

    copies = family.copies("bb", place / "copies")
    before = sorted(os.listdir(place / "copies"))
    monkeypatch.setattr(mending, "Check", Wrong)
    with pytest.raises(shardkv.CorruptionError, match=r"the damaged one stays: .*it is wrong"):
        mend(copies)
    assert sorted(os.listdir(place / "copies")) == before


def test_a_store_that_is_beside_already_is_kept(family: Family, place: Path) -> None:
    copies = family.copies("bb", place / "copies")
    with shardkv.open(f"{copies[0]}.mending") as store:
        store[b"somebody's"] = b"own"
    mend(copies)
    with shardkv.open(f"{copies[0]}.mending-unused") as store:
        assert store[b"somebody's"] == b"own"
    with shardkv.open(copies[0]) as store:
        assert rows_of(store) == family.rows


def test_a_name_is_taken_that_is_free(place: Path) -> None:
    for taken in ("x", "x-2"):
        (place / taken).mkdir()
    assert mending.free_name(str(place / "x")) == str(place / "x-3")
