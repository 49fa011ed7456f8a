"""Fork with an open store: the child is told, the parent notices nothing."""

from __future__ import annotations

from pathlib import Path

from stress.traffic import answer_of

FORK_WHILE_WRITING = """
import os, sys, threading, shardkv
path, other = sys.argv[1:]
store = shardkv.open(path, segment_bytes=(65536, 262144), unflushed_bytes=1 << 20)
store.put_many({b"%d" % n: b"v" * 100 for n in range(1000)})
snapshot, scan, over = store.snapshot(), store.scan(), threading.Event()
batch = store.batch()
batch.put(b"batched", b"")
ticket = store.submit(b"submitted", b"")

def write(number):
    turn = 0
    while not over.is_set():
        turn += 1
        store.put(b"%d-%d" % (number, turn), b"x" * 300, ack=("memory", "disk")[turn % 2])
    counts[number] = turn

def in_child():
    calls = [
        lambda: store.put(b"a", b"b"), lambda: store.put(b"a", b"b", ack="memory"),
        lambda: store.submit(b"a", b"b"), lambda: store.put_many({b"a": b"b"}),
        lambda: store.delete(b"1"), lambda: store.pop(b"1"), lambda: store.delete_many([b"1"]),
        lambda: store.get(b"1"), lambda: b"1" in store, lambda: store.get_many([b"1"]),
        lambda: len(store), lambda: list(store), lambda: store.snapshot(), lambda: store.sync(),
        lambda: store.flush(), lambda: store.stats(), lambda: store.shard_of(b"1"),
        lambda: snapshot.get(b"1"), lambda: list(snapshot.scan()), lambda: list(scan),
        lambda: ticket.wait(), lambda: batch.__exit__(None, None, None), lambda: store.close(),
    ]
    for number, call in enumerate(calls):
        try:
            call()
        except shardkv.ForkedError:
            continue
        return f"call {number} worked in the child"
    snapshot.close()
    with shardkv.open(other) as mine:
        mine.put(b"child", b"%d" % os.getpid())
        mine.flush()
    with shardkv.open(other) as mine:
        return "" if mine[b"child"] == b"%d" % os.getpid() else "the child's own store is wrong"

counts = [0] * 3
threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
for turn in range(10):
    child = os.fork()
    if child == 0:
        wrong = in_child()
        if wrong:
            print(wrong, file=sys.stderr)
        sys.exit(3 if wrong else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.put(b"parent", b"%d" % turn)
    assert store[b"parent"] == b"%d" % turn
over.set()
for thread in threads:
    thread.join()
assert snapshot[b"1"] == b"v" * 100 and len(list(scan)) >= 1000
snapshot.close()
store.close()
with shardkv.open(path) as store:
    assert len(store) == 1000 + 2 + sum(counts), (len(store), counts)
print("well")
"""

CHILD_OPENS_WHAT_THE_PARENT_HAD = """
import os, sys, shardkv
store = shardkv.open(sys.argv[1])
store.put(b"a", b"parent")
child = os.fork()
if child == 0:
    try:
        shardkv.open(sys.argv[1])
    except shardkv.LockedError as error:
        sys.exit(0 if error.pid == os.getppid() else 4)
    sys.exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store.put(b"b", b"parent")
store.close()
child = os.fork()
if child == 0:
    with shardkv.open(sys.argv[1]) as mine:
        mine.put(b"c", b"child")
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
with shardkv.open(sys.argv[1]) as store:
    assert list(store) == [b"a", b"b", b"c"]
print("well")
"""


def test_a_forked_child_is_told_at_every_call_and_the_parent_goes_on(tmp_path: Path) -> None:
    assert answer_of(FORK_WHILE_WRITING, tmp_path / "store", tmp_path / "other") == "well"


def test_a_forked_child_cannot_open_the_parents_store_before_the_parent_closes_it(
    tmp_path: Path,
) -> None:
    assert answer_of(CHILD_OPENS_WHAT_THE_PARENT_HAD, tmp_path / "store") == "well"
