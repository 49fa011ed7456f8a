"""Child processes that read what may be damaged, and tell what they find, a line of JSON each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from typing import Any, NoReturn

from shardkv import errors
from shardkv.errors import DiskError, Error


def told(error: Error) -> dict[str, Any]:
    """Return an error as JSON can carry it."""
    return {
        "kind": type(error).__name__,
        "text": str(error.args[0]),
        "file": error.file,
        "offset": error.offset,
        "seqno": error.seqno,
        "sys_errno": error.sys_errno,
    }


def raise_told(line: dict[str, Any]) -> NoReturn:
    """Raise the error that a child told."""
    fields = dict(line)
    raise getattr(errors, fields.pop("kind"))(fields.pop("text"), **fields)


def say(**line: Any) -> None:
    """In the child: tell the parent, at once."""
    print(json.dumps(line), flush=True)


class Child:
    """A module of this package, run by itself. It imports from where this process does (-P), not from where it runs.

    Attributes:
        code: its exit code, negative when a signal ended it.
        complaint: what it wrote to its standard error.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self.code, self.complaint = 0, ""
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def end(self) -> None:
        """End it, or keep it from beginning. Any thread."""
        self._ended = True
        if self._process is not None:
            self._process.kill()

    def lines(self) -> Generator[dict[str, Any], None, None]:
        """Run it, and yield what it says. It does not outlive this."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        with self._begun(environment) as child:
            self._process = child
            try:
                assert child.stdout
                if self._ended:  # end() came before there was anything to end
                    child.kill()
                for line in child.stdout:
                    yield json.loads(line)
                complaint = child.stderr.read() if child.stderr else b""
            finally:
                child.kill()
        self.code, self.complaint = child.returncode, complaint.decode(errors="replace")

    def _begun(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            text = f"cannot start the process that reads: {error}"
            raise DiskError(text, sys_errno=error.errno or 0) from error
