"""The recorder and the replayer against programs whose files can be compared: also py-lmdb."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from .cuts import Apart, Everything, Nothing, Prefix, Scattered, TornLast, cuts_apart
from .disk import Directory, File, walk
from .replay import Replayer, survivors
from .shim import Fault, settings
from .trace import FAILED, Event, Kind, read_trace

LMDB_PROGRAM = """
import lmdb, os, random, sys
root, steps = sys.argv[1], int(sys.argv[2])
rng = random.Random(7)
os.mkdir(root + "/env")
env = lmdb.open(root + "/env", map_size=1 << 24, max_dbs=2)
marks = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for step in range(steps):
    with env.begin(write=True) as txn:
        for _ in range(rng.randrange(1, 30)):
            txn.put(b"%04d" % rng.randrange(400), os.urandom(rng.randrange(1, 6000)))
        txn.put(b"step", b"%d" % step)
    os.write(marks, b"%d\\n" % step)
"""

FILE_PROGRAM = """
import os, sys
root = sys.argv[1]
os.mkdir(root + "/d")
fd = os.open(root + "/d/a.tmp", os.O_RDWR | os.O_CREAT)
os.write(fd, b"x" * 1000)
os.pwrite(fd, b"y" * 700, 500)
other = os.dup(fd)
os.lseek(fd, 3, 0)
os.write(other, b"dup")
os.writev(fd, [b"vec", b"", b"tor"])
os.pwritev(fd, [b"at", b"2000"], 2000)
os.ftruncate(fd, 1700)
os.posix_fallocate(fd, 0, 3000)
os.write(os.open(root + "/d/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"appended")
os.write(os.open(root + "/d/log", os.O_WRONLY | os.O_APPEND), bytes(4096))
os.fsync(fd)
os.rename(root + "/d/a.tmp", root + "/d/a")
os.link(root + "/d/a", root + "/d/twice")
os.link(root + "/d/log", root + "/d/moved")
os.unlink(root + "/d/log")
os.write(os.open(root + "/d/gone", os.O_WRONLY | os.O_CREAT), b"gone")
os.unlink(root + "/d/gone")
os.mkdir(root + "/e")
os.rmdir(root + "/e")
"""


def record(
    shim: Path, tmp: Path, program: str, *args: str, fault: Fault | None = None
) -> tuple[Path, list[Event]]:
    root, trace, marks = tmp / "root", tmp / "trace", tmp / "marks"
    root.mkdir()
    env = {**os.environ, "LD_PRELOAD": str(shim), **settings(root, fault, trace=trace, marks=marks)}
    subprocess.run(
        [sys.executable, "-c", program, str(root), *args, str(marks)],
        env=env,
        check=fault is None,
        timeout=60,
    )
    return root, list(read_trace(trace))


def replay(root: Path, events: list[Event]) -> Replayer:
    replayer = Replayer(root)
    for event in events:
        replayer.feed(event)
    return replayer


def assert_same_files(built: Path, real: Path) -> None:
    names = sorted(str(p.relative_to(real)) for p in real.rglob("*"))
    assert sorted(str(p.relative_to(built)) for p in built.rglob("*")) == names
    for name in names:
        if (real / name).is_file() and not name.endswith(
            "lock.mdb"
        ):  # lives in shared memory, means nothing later
            assert (built / name).read_bytes() == (real / name).read_bytes(), name


@pytest.mark.parametrize(
    ("program", "args"), [(FILE_PROGRAM, ()), (LMDB_PROGRAM, ("40",))], ids=["files", "lmdb"]
)
def test_a_trace_replayed_with_nothing_dropped_equals_the_real_files(
    shim: Path, scratch: Path, program: str, args: tuple[str, ...]
) -> None:
    root, events = record(shim, scratch, program, *args)
    replay(root, events).build(Everything(), scratch / "built")
    assert_same_files(scratch / "built", root)


def test_only_synced_bytes_and_names_survive_the_strictest_cut(shim: Path, scratch: Path) -> None:
    program = """
import os, sys
root = sys.argv[1]
fd = os.open(root + "/synced", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"1" * 600); os.fsync(fd); os.write(fd, b"2" * 600)
top = os.open(root, os.O_RDONLY); os.fsync(top)
fd = os.open(root + "/unnamed", os.O_WRONLY | os.O_CREAT); os.write(fd, b"3"); os.fsync(fd)
os.rename(root + "/unnamed", root + "/moved")
"""
    root, events = record(shim, scratch, program)
    replay(root, events).build(Nothing(), scratch / "built")
    assert [p.name for p in (scratch / "built").iterdir()] == ["synced"]
    assert (scratch / "built" / "synced").read_bytes() == b"1" * 600


def test_each_directory_is_cut_in_its_own_way_when_it_is_a_disk_of_its_own(
    shim: Path, scratch: Path
) -> None:
    program = """
import os, sys
root = sys.argv[1]
for name in "ab":
    os.mkdir(f"{root}/{name}")
    os.mkdir(f"{root}/{name}/inner")
    os.write(os.open(f"{root}/{name}/inner/f", os.O_WRONLY | os.O_CREAT), name.encode())
"""
    root, events = record(shim, scratch, program)
    replayer = replay(root, events)
    pending = replayer.pending_by_disk()
    assert {name: len(orders) for name, orders in pending.items()} == {"": 2, "a": 3, "b": 3}
    cut = Apart({"": Everything(), "a": Nothing(), "b": Everything()})
    replayer.build(cut, scratch / "built")
    assert [p.name for p in (scratch / "built" / "a").iterdir()] == []
    assert (scratch / "built" / "b" / "inner" / "f").read_bytes() == b"b"
    kinds = {str(cut) for cut in cuts_apart(pending, 1)}
    assert str(cut) in kinds
    assert len(kinds) > 8


def test_a_failed_sync_is_not_made_up_for_by_a_later_one(shim: Path, scratch: Path) -> None:
    program = """
import os, sys
root = sys.argv[1]
fd = os.open(root + "/f", os.O_WRONLY | os.O_CREAT)
os.fsync(os.open(root, os.O_RDONLY))
os.write(fd, b"1" * 1024)
try: os.fsync(fd)
except OSError: pass
os.pwrite(fd, b"2" * 512, 0)
os.fsync(fd)
"""
    root, events = record(shim, scratch, program, fault=Fault("fail", 2, classes="sync"))
    assert [e.kind for e in events if e.flags & FAILED] == [Kind.SYNC_END]
    replay(root, events).build(Nothing(), scratch / "built")
    assert (scratch / "built" / "f").read_bytes() == b"2" * 512
    replay(root, events).build(Everything(), scratch / "whole")
    assert (scratch / "whole" / "f").read_bytes() == b"2" * 512 + b"1" * 512


def test_what_a_failed_sync_left_cannot_undo_a_later_durable_write() -> None:
    file = File()
    file.write(1, 0, None, 4096)
    file.failed(1)
    file.write(2, 0, b"2" * 512, 512)
    file.synced(2)
    sectors, size = survivors(file, Everything())
    assert (sectors, size) == ({0: b"2" * 512}, 4096)


def test_scattered_cuts_reach_every_mix_of_sector_versions_and_no_other() -> None:
    file = File(b"0" * 2048)
    file.write(1, 0, b"1" * 2048, 2048)
    file.write(2, 512, b"2" * 1536, 1536)
    seen = set()
    for seed in range(2000):
        sectors, _ = survivors(file, Scattered(seed, 0.5))
        seen.add(tuple(sectors[n][:1] for n in range(4)))
    assert seen == set(itertools.product((b"0", b"1"), *[(b"0", b"1", b"2")] * 3))


def newest_step(path: Path) -> int:
    """The step that an LMDB environment shows; -1 when it is empty or was never born."""
    if not (path / "data.mdb").exists() or (path / "data.mdb").stat().st_size == 0:
        return -1
    with lmdb.open(str(path), map_size=1 << 24, max_dbs=2) as env, env.begin() as txn:
        return int(txn.get(b"step", b"-1"))


def test_lmdb_keeps_every_synced_commit_in_all_crash_states_after_its_birth(
    shim: Path, scratch: Path
) -> None:
    root, events = record(shim, scratch, LMDB_PROGRAM, "30")
    replayer, born, states = Replayer(root), False, 0
    for n, event in enumerate(events):
        replayer.feed(event)
        if not born:  # LMDB syncs no directory: without this nothing would ever survive
            for _, node in [("", replayer.root), *walk(replayer.root)]:
                if isinstance(node, Directory):
                    node.synced(replayer.order)
        born = born or event.kind is Kind.MARK
        if not born or event.kind in (Kind.SYNC_BEGIN, Kind.MARK):
            continue
        newest = max(replayer.pending_orders(), default=0)
        for cut in (Nothing(), Prefix(newest - 1), TornLast(newest, 0.5, True), Scattered(n, 0.5)):
            target = scratch / f"state-{states}"
            replayer.build(cut, target)
            acked = int(replayer.marks.split()[-1])
            assert acked <= newest_step(target / "env") <= acked + 1, f"event {n} {event}, {cut}"
            states += 1
    assert states > 300


def test_without_its_syncs_lmdb_loses_commits_in_the_same_states(shim: Path, scratch: Path) -> None:
    """The replayer has teeth: MDB_NOSYNC must show losses."""
    program = LMDB_PROGRAM.replace("max_dbs=2", "max_dbs=2, sync=False")
    root, events = record(shim, scratch, program, "12")
    replayer = replay(root, events)
    for _, node in [("", replayer.root), *walk(replayer.root)]:
        if isinstance(node, Directory):
            node.synced(replayer.order)
    replayer.build(Nothing(), scratch / "state")
    assert newest_step(scratch / "state" / "env") < int(replayer.marks.split()[-1])
