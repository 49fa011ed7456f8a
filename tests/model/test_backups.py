"""Backups under any order of writes, crashes, growth, ends at any piece, restores, and directories that are put back.

Each directory knows the history that it holds. A backup of another history is never believed to be of this one, and
one of this history always is: the logs here reach back to their beginnings.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

import shardkv
from shardkv.restoring import backup_closed

OPTIONS = {"shards": 2, "retain_log_bytes": 1 << 30, "segment_bytes": (65536, 65536)}
KEYS = [b"%d" % n for n in range(8)]


class StopError(Exception):
    """Raised by a progress callback."""


@dataclass(frozen=True)
class Record:
    """One of a history. Equal ones may be of different histories: `number` tells them apart."""

    number: int
    key: bytes
    value: bytes


@dataclass
class Place:
    """A directory, and what it holds."""

    path: Path
    own: int
    source: int | None = None
    history: list[Record] = field(default_factory=list)
    least: int = 0
    image: Place | None = None

    def state(self, upto: int | None = None) -> dict[bytes, bytes]:
        return {record.key: record.value for record in self.history[:upto]}


def stamps(path: Path) -> list[tuple[str, int, int]]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != "lock.mdb")
    return [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]


def copy_still(path: Path, to: Path) -> None:
    """Copy the files of a store in use between two writes of its threads: what a kill leaves."""
    while True:
        shutil.rmtree(to, ignore_errors=True)
        before = stamps(path)
        try:
            shutil.copytree(path, to)
        except (FileNotFoundError, shutil.Error):
            continue
        if stamps(path) == before:
            return


class World:
    """The directories, and what may happen to them."""

    def __init__(self, where: Path, rng: random.Random) -> None:
        self.where, self.rng, self.numbers = where, rng, count(1)
        self.story: list[str] = []
        self.places = [self.new()]
        shardkv.open(self.places[0].path, **OPTIONS).close()  # type: ignore[arg-type]

    def new(self) -> Place:
        number = next(self.numbers)
        return Place(self.where / f"{number}", number)

    def told(self, *words: object) -> None:
        self.story.append(" ".join(str(word) for word in words))

    def any(self) -> Place:
        return self.rng.choice(self.places)

    # -- writing

    def write(self) -> None:
        place = self.places[0] if self.rng.random() < 0.8 else self.any()
        crash = self.rng.random() < 0.3
        with shardkv.open(place.path) as store:
            mark = (place.path / "log" / "MARK").read_bytes()
            flushed = self.some_writes(store, place)
            if crash:
                copy_still(place.path, self.where / "killed")
            store.close(flush=self.rng.random() < 0.5)
        place.source = None
        self.told("write to", place.own, "upto", len(place.history), crash and "killed")
        if not crash:
            return
        shutil.rmtree(place.path)
        (self.where / "killed").rename(place.path)
        if not flushed and self.rng.random() < 0.5:  # the newer one had not reached the disk
            (place.path / "log" / "MARK").write_bytes(mark)

    def some_writes(self, store: shardkv.Store, place: Place) -> bool:
        flushed = False
        for _ in range(self.rng.randrange(4)):
            values = self.rng.choice([[b"same"], [self.rng.randbytes(20)]])
            keys = self.rng.sample(KEYS, self.rng.randrange(1, 5))
            if len(keys) > 2:
                store.put_many(dict.fromkeys(keys, values[0]))
            else:
                for key in keys:
                    store.put(key, values[0])
            place.history += [Record(next(self.numbers), key, values[0]) for key in keys]
            if self.rng.random() < 0.3:
                store.flush()
                flushed = True
            if self.rng.random() < 0.2:
                self.copy(place, store)
        return flushed

    # -- copies

    def copy(self, source: Place, store: shardkv.Store | None = None) -> None:
        mine = [place for place in self.places if place.source == source.own]
        dest = self.rng.choice([*mine, self.any()]) if self.rng.random() < 0.8 else self.new()
        if dest is source:
            return
        make: Callable[..., shardkv.BackupInfo] = (
            store.backup if store else lambda to, **how: backup_closed(source.path, to, **how)
        )
        self.told("copy", source.own, "to", dest.own, store and "open")
        if not dest.path.exists():
            self.judge(make(dest.path), source, dest)
            dest.least = len(dest.history)
            self.places.append(dest)
        elif self.rng.random() < 0.3:
            self.end_early(make, source, dest)
        else:
            self.grow(make, source, dest)

    def grow(self, make: Callable[..., shardkv.BackupInfo], source: Place, dest: Place) -> None:
        ours = source.history[: len(dest.history)]
        try:
            info = make(dest.path)
        except (shardkv.InvalidError, shardkv.LogGoneError) as error:
            self.told("refused:", error)
            assert dest.source != source.own or ours != dest.history, "\n".join(self.story)
            return
        assert (dest.source, info.since) == (source.own, len(dest.history)), "\n".join(self.story)
        self.judge(info, source, dest)

    def end_early(
        self, make: Callable[..., shardkv.BackupInfo], source: Place, dest: Place
    ) -> None:
        """What is there stays; the next one goes on. Some are killed, and leave what they had not said to be done."""

        def stop(done: int, total: int) -> None:
            copy_still(dest.path, self.where / "ended")
            raise StopError

        try:
            make(dest.path, progress=stop)
        except StopError:
            self.told("ended early")
            if self.rng.random() < 0.5:
                shutil.rmtree(dest.path)
                (self.where / "ended").rename(dest.path)
            with shardkv.open(dest.path, readonly=True) as copy:
                seqno, found = copy.stats().seqno, dict(copy)
            assert len(dest.history) <= seqno <= len(source.history), "\n".join(self.story)
            assert found == source.state(seqno), "\n".join(self.story)
            dest.history = source.history[:seqno]
        except (shardkv.InvalidError, shardkv.LogGoneError):
            ours = source.history[: len(dest.history)]
            assert dest.source != source.own or ours != dest.history, "\n".join(self.story)
        else:  # there was nothing to add
            self.told("at once")
            dest.history = list(source.history)

    def judge(self, info: shardkv.BackupInfo, source: Place, dest: Place) -> None:
        dest.source, dest.history = source.own, list(source.history)
        assert info.seqno == len(source.history), "\n".join(self.story)
        with shardkv.open(dest.path, readonly=True) as copy:
            assert dict(copy) == source.state(), "\n".join(self.story)
        assert shardkv.check(dest.path, pages=False).findings == (), "\n".join(self.story)

    def restore(self) -> None:
        source, dest = self.any(), self.new()
        until = self.rng.randint(source.least, len(source.history))
        try:
            info = shardkv.restore(source.path, dest.path, until=until)
        except shardkv.InvalidError:  # its shards hold what is newer
            return
        self.told("restore", source.own, "to", dest.own, "until", until)
        self.places.append(dest)
        self.judge(info, replace(source, history=source.history[: info.seqno]), dest)
        dest.least = source.least

    # -- directories put back

    def save(self) -> None:
        place = self.any()
        to = self.where / f"image of {place.own}"
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(place.path, to)
        place.image = replace(place, history=list(place.history), image=None)
        self.told("save", place.own)

    def put_back(self) -> None:
        place = self.any()
        if place.image is None:
            return
        shutil.rmtree(place.path)
        shutil.copytree(self.where / f"image of {place.own}", place.path)
        place.history = list(place.image.history)
        place.source, place.least = place.image.source, place.image.least
        self.told("put back", place.own, "to", len(place.history))


@pytest.mark.parametrize("number", range(4))
def test_a_backup_grows_with_its_own_history_and_with_no_other(
    tmp_path: Path, rng: random.Random, number: int
) -> None:
    world = World(tmp_path, rng)
    happenings: list[Callable[[], None]] = [
        world.write,
        world.write,
        world.write,
        lambda: world.copy(world.places[0]),
        lambda: world.copy(world.any()),
        world.restore,
        world.save,
        world.put_back,
    ]
    for _ in range(60):
        rng.choice(happenings)()
