"""Ends of the process: without close, from daemon threads, by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stress.traffic import PATIENCE_S, answer_of, run_script

import shardkv

EXIT_WITHOUT_CLOSE = """
import sys, shardkv
store = shardkv.open(sys.argv[1])
store.put(b"disk", b"1")
store.put(b"memory", b"2", ack="memory")
store.submit(b"submitted", b"3")
kept = [store.snapshot(), store.scan()]
next(kept[1])
"""

EXIT_WITH_DAEMONS = """
import sys, threading, shardkv
store = shardkv.open(sys.argv[1], segment_bytes=(65536, 262144), unflushed_bytes=1 << 20)
begun = threading.Barrier(5)

def write(number):
    turn = 0
    begun.wait()
    try:
        while True:
            turn += 1
            seqno = store.put(b"%d" % number, b"%d" % turn)
            acked[number] = turn
            store.get(b"%d" % number)
            len(store)
            with store.snapshot() as cut:
                list(cut.scan(limit=3))
    except shardkv.ClosedError:
        pass

acked = [0] * 4
for number in range(4):
    threading.Thread(target=write, args=(number,), daemon=True).start()
begun.wait()
store.put(b"main", b"here")
print(*acked)
"""

EXIT_BY_EXCEPTION = """
import sys, shardkv
store = shardkv.open(sys.argv[1])
store.put(b"a", b"b", ack="memory")
raise SystemExit(7)
"""

INTERRUPTED = """
import os, signal, sys, threading, shardkv
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
store = shardkv.open(sys.argv[1])
timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
try:
    timer.start()
    while True:
        store.put(b"a", b"b")
except KeyboardInterrupt:
    print("interrupted")
store.put(b"after", b"c")
assert store[b"after"] == b"c"
store.close()
"""


def rows_of(path: Path) -> dict[bytes, bytes]:
    with shardkv.open(path) as store:
        return dict(store.items())


def test_exit_without_close_loses_nothing(tmp_path: Path) -> None:
    assert run_script(EXIT_WITHOUT_CLOSE, tmp_path / "store").returncode == 0
    assert rows_of(tmp_path / "store") == {b"disk": b"1", b"memory": b"2", b"submitted": b"3"}


def test_exit_with_daemon_threads_in_full_flight_neither_hangs_nor_crashes(tmp_path: Path) -> None:
    for turn in range(8):
        acked = answer_of(EXIT_WITH_DAEMONS, tmp_path / f"store-{turn}").split()
        rows = rows_of(tmp_path / f"store-{turn}")
        assert rows[b"main"] == b"here"
        for number, count in enumerate(acked):
            assert int(rows.get(b"%d" % number, b"0")) >= int(count)


def test_exit_by_exception_loses_nothing(tmp_path: Path) -> None:
    assert run_script(EXIT_BY_EXCEPTION, tmp_path / "store").returncode == 7
    assert rows_of(tmp_path / "store") == {b"a": b"b"}


def test_ctrl_c_ends_a_put_and_the_store_goes_on(tmp_path: Path) -> None:
    assert answer_of(INTERRUPTED, tmp_path / "store") == "interrupted"


HOLD = """
import sys, shardkv
store = shardkv.open(sys.argv[1])
store.put(b"a", b"b")
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLD, str(tmp_path / "store")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(shardkv.LockedError, match=str(holder.pid)) as caught:
            shardkv.open(tmp_path / "store")
        assert caught.value.pid == holder.pid
        holder.send_signal(signal.SIGKILL)
        holder.wait(PATIENCE_S)
    assert rows_of(tmp_path / "store") == {b"a": b"b"}
    assert os.path.exists(tmp_path / "store" / "LOCK")
