"""The demo, small: it succeeds and cleans up, and it fails when something acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from house.tree import ROOT

DEMO = ROOT / "bench" / "demo.py"

# Each breaks one promise before the demo runs; the text after it is what the demo has to say.
SABOTAGE = {
    "an acknowledged record is gone": (
        "import demo_kill as part; heard = part.reports; "
        "part.reports = lambda all: heard(all) | {b'kill/00/99999999': b'never stored'}",
        "acknowledged records are there",
    ),
    "a record has another value": (
        "import demo_reads as part; value = part.event_value; "
        "part.event_value = lambda key: b'' if key == part.event_key(7) else value(key)",
        "records of chapter 2 are there",
    ),
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=environment
    )


def test_the_demo_succeeds_without_a_terminal_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run(str(DEMO), "--scale", "0.002", "--directory", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2. 2,000 durable writes" in done.stdout
    assert "SIGKILL" in done.stdout
    assert "FAILED" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", SABOTAGE)
def test_the_demo_fails_when_a_promise_is_broken(tmp_path: Path, lost: str) -> None:
    sabotage, complaint = SABOTAGE[lost]
    code = (
        f"import sys; sys.path.insert(0, {str(DEMO.parent)!r}); "
        f"import demo; {sabotage}; sys.exit(demo.main())"
    )
    done = run("-c", code, "--scale", "0.002", "--directory", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAILED: ")]
    assert len(wrong) == 1, done.stdout
    assert complaint in wrong[0]
    assert list(tmp_path.iterdir()) == []
