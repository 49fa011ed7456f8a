"""What docs/operations.md tells people to do, done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from house.tree import ROOT

TEXT = (ROOT / "docs/operations.md").read_text()
STEPS = re.findall(r"```(python|sh)\n(.*?)```\n(?:```text\n(.*?)```)?", TEXT, re.DOTALL)


def run_shell(step: str, tmp_path: Path) -> str:
    """Run the commands with this interpreter; each must succeed."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    python = tmp_path / "bin/python"
    if not python.exists():
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o700)
    paths = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": paths}
    environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", step], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_step_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(STEPS) >= 6
    monkeypatch.chdir(tmp_path)
    for language, step, told in STEPS:
        if language == "python":
            exec(compile(step, "operations.md", "exec"), {})
            said = capsys.readouterr().out
        else:
            said = run_shell(step, tmp_path)
        if told:
            assert said.replace(str(tmp_path), "DIR") == told, step
