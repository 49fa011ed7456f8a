"""Builds shim.c and puts its settings into an environment."""

import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fault:
    """What befalls the `at`-th call: fail, short, hang, kill-before, kill-middle or kill-after."""

    kind: str
    at: int
    sticky: bool = False
    error: int = errno.EIO
    classes: str = ""
    match: str = ""

    def __str__(self) -> str:
        error = errno.errorcode[self.error] if self.kind == "fail" else ""
        parts = [
            self.kind,
            error,
            f"at {self.at}",
            "sticky" * self.sticky,
            self.classes,
            self.match,
        ]
        return " ".join(part for part in parts if part)


def build(directory: Path) -> Path:
    """Compile the shim into `directory` and return the library."""
    library = directory / "shim.so"
    flags = [
        "-O2",
        "-shared",
        "-fPIC",
        "-std=gnu11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-U_FORTIFY_SOURCE",
    ]
    compiler = (os.environ.get("CC") or shutil.which("cc") or "gcc").split()
    subprocess.run(
        [*compiler, *flags, "-o", str(library), str(HERE / "shim.c"), "-ldl", "-lpthread"],
        check=True,
    )
    return library


def settings(
    root: Path,
    fault: Fault | None = None,
    *,
    trace: Path | None = None,
    marks: Path | None = None,
    report: Path | None = None,
    hold: Path | None = None,
    sync_ms: int = 0,
) -> dict[str, str]:
    """Every SKV_SHIM_ variable, empty when unused: no run inherits the settings of another."""
    at = fault or Fault("", 0)
    return {
        "SKV_SHIM_ROOT": os.path.realpath(root),
        "SKV_SHIM_FAULT": at.kind,
        "SKV_SHIM_AT": str(at.at),
        "SKV_SHIM_STICKY": str(int(at.sticky)),
        "SKV_SHIM_ERRNO": str(at.error),
        "SKV_SHIM_CLASS": at.classes,
        "SKV_SHIM_MATCH": at.match,
        "SKV_SHIM_TRACE": str(trace or ""),
        "SKV_SHIM_MARKS": os.path.realpath(marks) if marks else "",
        "SKV_SHIM_REPORT": str(report or ""),
        "SKV_SHIM_HOLD": os.path.realpath(hold) if hold else "",
        "SKV_SHIM_SYNC_MS": str(sync_ms),
    }
