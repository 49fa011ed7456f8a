"""The parent's side of child.py: start, ask with a time limit, tell what a dead child left."""

import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Self

from .plan import Plan

TESTS = Path(__file__).parent.parent
PATIENCE_S = 60.0  # who takes longer hangs
# Small segments, so that short workloads roll, retire and recycle them.
OPTIONS = {"shards": 3, "write_timeout": 5.0, "segment_bytes": (64 << 10, 1 << 20)}


class ChildDiedError(Exception):
    """The child ended without an answer. `signal` is what killed it, 0 when it left by itself."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"child ended with {code}: {text}")
        self.signal = -code if code < 0 else 0


class ChildHungError(Exception):
    """The child did not answer in time; the text has the stacks of its threads."""


class Child:
    """A child process, started at the first question and again after it died."""

    def __init__(
        self,
        shim: Path | None = None,
        settings: dict[str, str] | None = None,
        module: str = "crash.child",
    ) -> None:
        self._shim, self._settings, self._module = shim, settings or {}, module
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child)
        self._buffer = b""

    def start(self) -> subprocess.Popen[bytes]:
        if self._process:
            return self._process
        paths = [str(TESTS), *(p for p in sys.path if p)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), **self._settings}
        if self._shim:
            others = os.environ.get("LD_PRELOAD", "").split()
            env["LD_PRELOAD"] = " ".join([*others, str(self._shim)])  # sanitizers come first
        command = [sys.executable, "-m", self._module]
        self._stderr.seek(0)
        self._stderr.truncate()
        self._buffer = b""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, env=env
        )
        return self._process

    def send(self, request: dict[str, Any]) -> None:
        stdin = self.start().stdin
        assert stdin
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()

    def ask(self, request: dict[str, Any], timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.send(request)
        return self.answer(timeout)

    def answer(self, timeout: float = PATIENCE_S) -> dict[str, Any]:
        process, deadline = self.start(), time.monotonic() + timeout
        assert process.stdout
        while b"\n" not in self._buffer:
            ready, _, _ = select.select(
                [process.stdout], [], [], max(deadline - time.monotonic(), 0)
            )
            if not ready:
                raise ChildHungError(f"no answer in {timeout:g} s\n{self._stacks()}")
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                code = process.wait()
                self._process = None
                raise ChildDiedError(code, self._complaint())
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def freeze(self) -> None:
        """Stop all of it where it is, until it is killed."""
        process = self.start()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def answers_within(self, seconds: float) -> bool:
        """Whether something came before the time was over; the answer stays to be read."""
        stdout = self.start().stdout
        assert stdout
        return bool(select.select([stdout], [], [], seconds)[0])

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process = None

    def _stacks(self) -> str:
        assert self._process
        self._process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)  # not to be right: only to let the stacks come out before the kill
        self.kill()
        return self._complaint()

    def _complaint(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._stderr.close()


class Children:
    """A few children that answer side by side; the first finding stops a campaign."""

    def __init__(
        self, count: int = 2, shim: Path | None = None, module: str = "crash.child"
    ) -> None:
        self._children = [Child(shim, module=module) for _ in range(count)]
        self._idle: queue.Queue[Child] = queue.Queue()
        for child in self._children:
            self._idle.put(child)
        self._pool = ThreadPoolExecutor(count)

    def ask(self, request: dict[str, Any], timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Ask whichever child is idle."""
        child = self._idle.get()
        try:
            return child.ask(request, timeout)
        finally:
            self._idle.put(child)

    def for_each(self, items: Iterable[Any], work: Callable[[Any], None]) -> int:
        """Run `work` on every item, a few at a time; returns how many. An error comes out."""
        running: list[Future[None]] = []
        total = 0
        try:
            for item in items:
                running.append(self._pool.submit(work, item))
                total += 1
                while len(running) > 2 * len(self._children):
                    running.pop(0).result()
            while running:
                running.pop(0).result()
        finally:
            wait([future for future in running if not future.cancel()])
        return total

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for child in self._children:
            child.kill()


def run_request(path: Path, plan: Plan, journal: Path, **more: Any) -> dict[str, Any]:
    """The request that runs `plan` on the store at `path`."""
    options = {**OPTIONS, **more.pop("options", {})}
    return {
        "do": "run",
        "path": str(path),
        "plan": vars(plan),
        "journal": str(journal),
        "options": options,
        **more,
    }


def open_request(do: str, path: Path, seed: int, **more: Any) -> dict[str, Any]:
    """The request that verifies or reads the store at `path`."""
    options = {**OPTIONS, **more.pop("options", {})}
    return {"do": do, "path": str(path), "seed": seed, "options": options, **more}


def rows_of(answer: dict[str, Any]) -> dict[bytes, int]:
    return {bytes.fromhex(key): number for key, number in answer["rows"].items()}
