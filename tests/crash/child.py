"""A child process that runs workloads and opens crashed stores: JSON lines, in and out.

    {"do": "run", "path", "plan", "journal", "options", "flush"}  run a plan
    {"do": "verify", "path", "seed", "options", "flush"}          open, read all, write, open again
    {"do": "read", "path", "seed", "options"}                     open and read all
    {"do": "backup", "path", "dest", "options", "extra"}          open and copy to dest, writing meanwhile

With "shim" (settings) the shim is armed for that request; with "file_bytes" no file may grow beyond
that, ever after.
"""

import contextlib
import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import shardkv

from .journal import Journal
from .plan import PROBE, Plan, writer_of
from .workload import Workload, open_below

EXTRA = b"extra"  # written beside a backup; its value is the seqno before its own
Answer = dict[str, Any]
Request = dict[str, Any]


def shim_library() -> Any:
    library = ctypes.CDLL(None)
    try:
        library.skv_shim_count.restype = ctypes.c_ulong
        library.skv_shim_hit.restype = ctypes.c_char_p
    except AttributeError:
        return None
    return library


def run(request: Request) -> Answer:
    """Run a plan with a diary."""
    path = Path(request["path"])
    journal = Journal(Path(request["journal"]))
    workload = Workload(path, Plan(**request["plan"]), journal, request["options"])
    try:
        workload.run(flush_at_close=request.get("flush", True))
    finally:
        journal.close()
    return {"errors": workload.errors, "untyped": workload.untyped}


def check_bounds(store: Any, keys: list[bytes]) -> None:
    """Some scans that begin at a key or before it."""
    for n in range(0, len(keys), 1 + len(keys) // 20):
        if [*store.scan(keys[n], limit=1, values=False)] != keys[n : n + 1]:
            raise AssertionError("a scan from a key begins at another")
        if [*store.scan(stop=keys[n], reverse=True, limit=1, values=False)] != keys[:n][-1:]:
            raise AssertionError(
                "a reverse scan before a key begins at another than the one before"
            )


def shown_by(store: Any, seed: int) -> dict[str, int]:
    """Every row as key to writer, read in ways that must agree."""
    rows = dict(store.scan())
    if list(rows) != sorted(rows):
        raise AssertionError("scan is out of order")
    if len(store) != len(rows):
        raise AssertionError(f"len() says {len(store)}, scan shows {len(rows)}")
    if list(store.scan(reverse=True, values=False)) != list(rows)[::-1]:
        raise AssertionError("the reverse scan shows other keys")
    if store.get_many(list(rows)) != rows:
        raise AssertionError("get_many and scan differ")
    check_bounds(store, list(rows))
    return {k.hex(): writer_of(seed, k, v) for k, v in rows.items() if not k.startswith(PROBE)}


@contextlib.contextmanager
def opened(request: Request) -> Iterator[Any]:
    """The store of a request; closing after a failure may fail as well, and must still let go."""
    store = shardkv.open(request["path"], **request["options"])
    flush = request.get("flush", True)
    try:
        yield store
    except BaseException:
        with contextlib.suppress(shardkv.Error):
            store.close(flush=flush)
        raise
    store.close(flush=flush)


def verify(request: Request) -> Answer:
    """Open, read, write, close, open again: the store works, and its answer stays."""
    probe = PROBE + os.urandom(4)
    with opened(request) as store:
        rows = shown_by(store, request["seed"])
        first = store.put(probe, b"probe", ack="disk")
        second = store.put(probe, b"probe again", ack="disk")
        if not 0 < first < second:
            raise AssertionError(f"seqnos {first}, {second} do not grow")
    with opened(request) as store:
        again = shown_by(store, request["seed"])
        if again != rows or store.get(probe) != b"probe again":
            raise AssertionError("the second opening gives another answer")
    return {"rows": rows}


def read(request: Request) -> Answer:
    """Open and read everything; close without writing more than closing needs."""
    with opened({**request, "flush": False}) as store:
        return {"rows": shown_by(store, request["seed"])}


def backup(request: Request) -> Answer:
    """Open, copy to another place, close without writing more than closing needs."""
    with opened({**request, "flush": False}) as store:

        def write(*_: int) -> None:
            for _ in range(request.get("extra", 0)):
                store.put(EXTRA, b"%d" % store.stats().seqno, ack="memory")

        write()
        seqno = store.backup(request["dest"], progress=write).seqno
        say_done()
        return {"seqno": seqno}


def say_done() -> None:
    """Note, where the recorder sees it, that what was asked for has returned."""
    if marks := os.environ.get("SKV_SHIM_MARKS"):
        with open(marks, "a") as file:
            file.write("done\n")


# What can be asked; a child of another folder adds its own.
TASKS: dict[str, Callable[[Request], Answer]] = {
    "run": run,
    "verify": verify,
    "read": read,
    "backup": backup,
}


def answer_to(request: Request) -> Answer:
    """Do what is asked; tell errors of ours from findings, and whether any file stayed open."""
    answer = attempt(request)
    return {**answer, "held": open_below(Path(request["path"]))}


def attempt(request: Request) -> Answer:
    try:
        return TASKS[request["do"]](request)
    except shardkv.Error as error:
        place = {name: getattr(error, name, None) for name in ("file", "offset", "seqno")}
        known = {name: str(value) for name, value in place.items() if value is not None}
        return {"error": type(error).__name__, "text": str(error), **known}
    except Exception as error:
        return {"finding": f"{type(error).__name__}: {error}"}


def answer_under_fault(request: Request, shim: Any) -> Answer:
    """The same with the shim armed; its counters are read before it is disarmed."""
    os.environ.update(request["shim"])
    shim.skv_shim_arm()
    answer = answer_to(request)
    counted = {"counted": shim.skv_shim_count(), "hit": shim.skv_shim_hit().decode()}
    os.environ["SKV_SHIM_ROOT"] = ""
    shim.skv_shim_arm()
    return {**answer, **counted}


def main() -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    faulthandler.enable()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints must not garble the answers
    shim = shim_library()
    for line in sys.stdin:
        request = json.loads(line)
        options = request["options"]
        options["segment_bytes"] = tuple(options["segment_bytes"])  # JSON knows lists only
        if "file_bytes" in request:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (request["file_bytes"], resource.RLIM_INFINITY)
            )
        answer = (
            answer_under_fault(request, shim) if shim and "shim" in request else answer_to(request)
        )
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
