"""Power cuts of a repair: the damaged store is in its place, or a sound one that has everything."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import shardkv
from shardkv.places import holds_store
from shardkv.repairing import finish_exchange

from .power import Recording, crash_states, scaled
from .shim import settings
from .trace import read_trace

THE_END = 8  # events: the exchange is among them
MEND = """
import sys
from shardkv.mending import mend
mend([(name, (1 << 56) - 1) for name in sys.argv[1:]])
"""
Rows = dict[bytes, bytes]


def damaged(root: Path) -> Rows:
    """Make a store, a copy of it, and damage a record of the store."""
    with shardkv.open(root / "store", shards=2, segment_bytes=(65536, 65536)) as store:
        store.put_many({b"key %02d" % n: b"flushed" for n in range(60)})
        store.flush()
        store.put_many({b"key %02d" % n: b"later" for n in range(50, 70)})
        rows = dict(store.scan())
        store.close(flush=False)
    shutil.copytree(root / "store", root / "copy")
    for file in root.glob("store/shards/*/data.mdb"):
        file.write_bytes(file.read_bytes().replace(b"flushed", b"damaged"))
    return rows


def recorded(root: Path, where: Path, shim: Path) -> Recording:
    trace, marks, base = where / "trace", where / "marks", where / "base"
    shutil.copytree(root, base)
    armed = settings(root, trace=trace, marks=marks)
    command = [sys.executable, "-c", MEND, root / "store", root / "copy"]
    environment = {**os.environ, "LD_PRELOAD": str(shim), **armed}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return Recording(root, base, list(read_trace(trace)), [])


def test_a_cut_leaves_the_damaged_store_or_a_sound_one(
    shim: Path, scratch: Path, rng: random.Random
) -> None:
    root, seed = scratch / "root", rng.getrandbits(32)
    root.mkdir()
    rows = damaged(root)
    recording = recorded(root, scratch, shim)
    seen: Counter[str] = Counter()
    start = len(recording.events) - THE_END
    for state in crash_states(recording, scratch, scaled(30), seed, start=start):
        path = state.path / "store"
        finish_exchange(str(path))
        if list(state.path.glob("store.damaged-*")):
            with shardkv.open(path) as store:
                assert dict(store.scan()) == rows, state.story
            seen["new"] += 1
        else:
            assert holds_store(str(path)), state.story
            seen["old"] += 1
        shutil.rmtree(state.path)
    print(f"seed {seed}: {len(recording.events)} events: {dict(seen)}")
    assert seen["new"]
    assert seen["old"]
