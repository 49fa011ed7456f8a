"""What is left over when its owner has gone: every case once read freed memory.

A scan outlived its snapshot, a snapshot its store, and one thread closed a snapshot that another was reading. Each runs
in a process of its own, so that a crash is a failure and not the end of the tests; under ASan they are exact.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from stress.traffic import answer_of

BEGIN = """
import gc, sys, threading, shardkv
store = shardkv.open(sys.argv[1], segment_bytes=(65536, 262144), unflushed_bytes=1 << 20)
store.put_many({b"%05d" % n: b"v" * 100 for n in range(3000)})
store.flush()
store.put_many({b"%05d" % n: b"w" * 100 for n in range(1500)})
"""

CASES = {
    "a scan goes on, or says that it cannot, after its snapshot was closed": """
with store.snapshot() as cut:
    rows = cut.scan()
    next(rows)
noise = [store.snapshot() for _ in range(3)]
try:
    assert len(list(rows)) == 2999
except shardkv.ClosedError:
    pass
store.close()
""",
    "a scan that was never begun goes after its snapshot": """
cut = store.snapshot()
rows = cut.scan()
cut.close()
del cut
del rows
store.close()
""",
    "a snapshot is dropped after its store": """
cut, other = store.snapshot(), store.snapshot()
store.close()
del store
gc.collect()
try:
    cut.get(b"00001")
except shardkv.ClosedError:
    pass
cut.close()
del cut, other
gc.collect()
""",
    "a scan is dropped after its store, begun and not begun": """
begun, idle = store.scan(), store.scan(reverse=True)
next(begun)
store.close()
del store
gc.collect()
try:
    list(begun)
except shardkv.ClosedError:
    pass
del begun, idle
gc.collect()
""",
    "a ticket and a batch outlive their store": """
ticket, batch = store.submit(b"a", b"b"), store.batch()
store.close()
del store
gc.collect()
assert ticket.done() and ticket.wait() == ticket.seqno
batch.put(b"c", b"d")
try:
    batch.__exit__(None, None, None)
except shardkv.ClosedError:
    pass
""",
    "a snapshot is closed while others read it": """
def read(cut):
    try:
        while True:
            assert cut.get(b"00001") == b"w" * 100
            assert len(cut.get_many([b"%05d" % n for n in range(200)])) == 200
            assert b"02000" in cut
            assert len(list(cut.scan(limit=200))) == 200
    except shardkv.ClosedError:
        ended.append(1)

ended = []
for turn in range(100):
    cut = store.snapshot()
    threads = [threading.Thread(target=read, args=(cut,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(turn % 5):
        cut.get(b"00002")
    cut.close()
    for thread in threads:
        thread.join()
assert len(ended) == 300, len(ended)
store.close()
""",
    "everything is open when the interpreter ends": """
kept = [store.snapshot(), store.scan(), store.scan(), store.batch(), store.submit(b"a", b"b")]
kept += [kept[0].scan()]
next(kept[1])
sys.stderr = open("/dev/null", "w")
""",
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_used_after_it_was_freed_when(case: str, tmp_path: Path) -> None:
    answer_of(BEGIN + CASES[case], tmp_path / "store")
