"""A disk that takes its time: syncs are shared, and a close waits for what was appended, and for no backup's disk."""

import os
import subprocess
import sys
from pathlib import Path

from .children import PATIENCE_S
from .shim import Fault, settings

CLOSED = """
import sys, threading, shardkv
from pathlib import Path
store, hold = shardkv.open(sys.argv[1], shards=1), Path(sys.argv[2])
engine, answers = store._engine, []
hold.touch()
writer = threading.Thread(target=lambda: answers.append(store.put(b"first", b"1")))
writer.start()
while engine.last_seqno() < 1:
    pass
ticket = store.submit(b"second", b"2")
closer = threading.Thread(target=store.close, kwargs={"flush": False})
closer.start()
while engine.last_seqno():  # until it is being stopped: then nobody knows what will be durable
    pass
try:
    answers.append(engine.wait(ticket.seqno, 0.0))
finally:
    hold.unlink()
answers.append(ticket.wait())
writer.join()
closer.join()
assert sorted(answers) == [0, 1, 2], answers
with shardkv.open(sys.argv[1]) as store:
    assert dict(store.items()) == {b"first": b"1", b"second": b"2"}
print("well")
"""


COUNTED = """
import sys, threading, shardkv
from pathlib import Path
with shardkv.open(sys.argv[1], shards=1) as store:
    hold, before = Path(sys.argv[2]), store.stats().log.syncs
    hold.touch()
    threads = [threading.Thread(target=store.incr, args=(b"hot",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    while store._engine.last_seqno() < 16:
        pass
    hold.unlink()
    for thread in threads:
        thread.join()
    assert store[b"hot"] == b"16"
    assert store.stats().log.syncs - before <= 3, store.stats().log
print("well")
"""


GROWING = """
import sys, threading, shardkv
from pathlib import Path
root, hold = Path(sys.argv[1]).parent, Path(sys.argv[2])
lock, answers = root / "backup" / "LOCK", []
store = shardkv.open(sys.argv[1], shards=1, retain_log_bytes=1 << 20)
store.put(b"first", b"1")
store.backup(lock.parent)
store.put(b"second", b"2")
lock.write_bytes(b"")
hold.touch()

def grow():
    try:
        store.backup(lock.parent)
    except shardkv.ClosedError:
        answers.append("closed")

thread = threading.Thread(target=grow)
thread.start()
while not lock.read_bytes():
    pass
store.close()
hold.unlink()
thread.join()
assert answers == ["closed"], answers
with shardkv.open(sys.argv[1]) as store:
    assert store.backup(lock.parent).since == 1
print("well")
"""


SYNCS = Fault("hang", 1, sticky=True, classes="sync")


def check(script: str, shim: Path, scratch: Path, hangs: Fault = SYNCS) -> None:
    """Run lines of Python whose calls hang while the file that they are given is there."""
    root = scratch / "root"
    root.mkdir()
    others = os.environ.get("LD_PRELOAD", "").split()
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(root / "store"), str(scratch / "hold")],
        env=os.environ
        | settings(root, hangs, hold=scratch / "hold")
        | {"LD_PRELOAD": " ".join([*others, str(shim)])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "well"), done.stderr


def test_who_waits_while_a_store_is_closed_is_told_what_became_of_the_write(
    shim: Path, scratch: Path
) -> None:
    """Who waited for longer than a slice was told that the store is closed, of a write that was durable later."""
    check(CLOSED, shim, scratch)


def test_counting_on_one_key_shares_syncs(shim: Path, scratch: Path) -> None:
    check(COUNTED, shim, scratch)


def test_a_close_does_not_wait_for_the_disk_of_a_backup_that_is_to_grow(
    shim: Path, scratch: Path
) -> None:
    """It waited while the backup's log was read."""
    reads = Fault("hang", 1, sticky=True, classes="look", match="backup/ORIGIN")
    check(GROWING, shim, scratch, reads)
