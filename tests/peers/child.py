"""A child of the crash tests that holds one store open from one request to the next, beside bad disks.

{"do": "open", "path", "options"}   {"do": "put", "count", "ack", "bytes", "patience"}   {"do": "status"}
{"do": "close"}   {"do": "peers", "add": [...], "remove": [...]}   {"do": "fork"}   {"do": "exit"}
{"do": "settle", "path", "seed", "options"}   open, read all, wait until every peer has everything, close
{"do": "promote", "path", "others", "force"}   {"do": "rejoin", "path", "export", "primary", "partial"}
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict
from typing import Any

from crash import child
from crash.plan import PROBE

import shardkv

Request = dict[str, Any]
held: list[shardkv.Store] = []
written = 0


def open_store(request: Request) -> Request:
    """Open the store and keep it."""
    held.append(shardkv.open(request["path"], **request["options"]))
    return {}


def put(request: Request) -> Request:
    """Put records of a size at a level, which each waits for as long as it is told to; return the newest seqno."""
    global written
    seqno = 0
    with shardkv.open(held[-1].path, write_timeout=request["patience"]) as store:
        for _ in range(request["count"]):
            written += 1
            seqno = store.put(b"key/%d" % written, os.urandom(request["bytes"]), ack=request["ack"])
    return {"seqno": seqno}


def status(_: Request) -> Request:
    """Return how it is with each peer, and with the log."""
    stats = held[-1].stats()
    return {
        "peers": {peer.path: asdict(peer) for peer in stats.peers},
        "log_bytes": stats.log.bytes,
        "durable": stats.durable_seqno,
    }


def peers(request: Request) -> Request:
    """Add and remove peers."""
    for path in request.get("remove", ()):
        held[-1].peers.remove(path)
    for path in request.get("add", ()):
        held[-1].peers.add(path)
    return {}


def fork(_: Request) -> Request:
    """In a forked child everything is refused, and it ends by itself."""
    pid = os.fork()
    if pid == 0:
        try:
            held[-1].put(b"x", b"1")
        except shardkv.ForkedError:
            os._exit(7)
        os._exit(8)
    return {"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}


def close(_: Request) -> Request:
    """Close the store."""
    began = time.monotonic()
    held.pop().close()
    return {"took": time.monotonic() - began}


def settle(request: Request) -> Request:
    """Open, read all, let the peers get everything, close."""
    with shardkv.open(request["path"], **request["options"]) as store:
        rows = child.shown_by(store, request["seed"])
        end = time.monotonic() + 60
        while True:
            try:
                store.put(PROBE, os.urandom(4), ack="all")
            except shardkv.AckError as error:
                if time.monotonic() > end:
                    raise AssertionError(f"{error}; {store.peers.status()}") from error
            else:
                return {"rows": rows}


def promote(request: Request) -> Request:
    """Promote a directory of the family."""
    done = shardkv.promote(request["path"], *request["others"], force=request.get("force", False))
    child.say_done()
    return asdict(done)


def rejoin(request: Request) -> Request:
    """Make a directory of the family a peer again."""
    partial = request.get("partial", False)
    done = shardkv.rejoin(
        request["path"], request["export"], primary=request["primary"], partial=partial
    )
    child.say_done()
    return asdict(done)


def leave(_: Request) -> Request:
    """End the interpreter with the store open."""
    sys.exit(0)


if __name__ == "__main__":
    child.TASKS.update(
        {
            "open": open_store,
            "put": put,
            "status": status,
            "peers": peers,
            "fork": fork,
            "close": close,
            "settle": settle,
            "promote": promote,
            "rejoin": rejoin,
            "exit": leave,
        }
    )
    child.main()
