"""A close waits for the calls that are inside the engine: what they use stays until they left."""

from __future__ import annotations

from pathlib import Path

import pytest
from stress.traffic import answer_of

LONG = """
import sys, threading, shardkv
pairs = {b"%06d" % n: b"%d" % n * 5 for n in range(20_000)}
with shardkv.open(sys.argv[1], shards=2) as store:
    store.put_many(pairs)
keys = list(pairs) * 5
CALLS = {
    "get_many": lambda store: store.get_many(keys) == pairs,
    "scan": lambda store: dict(store.scan()) == pairs,
    "put_many": lambda store: store.put_many(pairs) > 0,
    "delete_many": lambda store: store.delete_many([b"none"] * 50_000) == 0,
    "flush": lambda store: (store.put_many(pairs), store.flush()) != (),
}
call = CALLS[sys.argv[2]]

def work(store, begun):
    wrong = None
    try:
        while wrong is None:
            begun.set()
            if not call(store):
                wrong = "a wrong answer"
    except shardkv.ClosedError:
        return
    print(wrong, file=sys.stderr)

for turn in range(8):
    store = shardkv.open(sys.argv[1])
    flags = [threading.Event() for _ in range(2)]
    threads = [threading.Thread(target=work, args=(store, begun)) for begun in flags]
    for thread in threads:
        thread.start()
    for begun in flags:
        begun.wait()
    store.close(flush=False)
    for thread in threads:
        thread.join()
with shardkv.open(sys.argv[1]) as store:
    assert dict(store.items()) == pairs
print("well")
"""


@pytest.mark.parametrize("call", ["get_many", "scan", "put_many", "delete_many", "flush"])
def test_a_close_waits_for_a_long(call: str, tmp_path: Path) -> None:
    assert answer_of(LONG, tmp_path / "store", call) == "well"
