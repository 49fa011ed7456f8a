"""The process that chapter 3 kills: puts records for ever, reports each one that was acknowledged.

Usage: demo_victim.py STORE. A report is key and value, REPORT_BYTES in one write to standard
output: less than PIPE_BUF, so that reports of several threads never mix and a killed process never
leaves half of one.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import traceback

import shardkv

PREFIX = b"kill/"
THREADS = 4
KEY_BYTES = 16
VALUE_BYTES = 100
REPORT_BYTES = KEY_BYTES + VALUE_BYTES


def key_of(thread: int, number: int) -> bytes:
    """Return the key of the n-th record of a thread."""
    return PREFIX + b"%02d/%08d" % (thread, number)


def write(store: shardkv.Store, pipe: int, thread: int) -> None:
    """Put records of random bytes; a report leaves after put() has returned, and not before."""
    try:
        for number in itertools.count():
            key, value = key_of(thread, number), os.urandom(VALUE_BYTES)
            store.put(key, value, ack="disk")
            os.write(pipe, key + value)
    except (shardkv.Error, OSError):
        # One thread alone cannot end the process otherwise, and the witness must see that it ended.
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    store = shardkv.open(sys.argv[1], create=False)
    pipe = sys.stdout.fileno()
    threads = [threading.Thread(target=write, args=(store, pipe, n)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
