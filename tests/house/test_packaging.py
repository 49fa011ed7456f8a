"""What the source distribution carries, and what can be built from it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from house.tree import ROOT


def run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    setup = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(folder)]
    run([*setup, "sdist", "--dist-dir", str(folder), "--formats", "gztar"], ROOT)
    return next(folder.glob("*.tar.gz"))


def test_the_source_distribution_carries_all_that_a_build_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [*ROOT.glob("csrc/**/*.[ch]"), *ROOT.glob("shardkv/*.py"), *ROOT.glob("shardkv/*.pyi")]
    needed = {str(path.relative_to(ROOT)) for path in wanted}
    needed |= {"csrc/FORMAT.md", "compile_flags.txt", "pyproject.toml", "setup.py", "LICENSE"}
    assert sorted(needed - there) == []


@pytest.mark.slow
def test_a_wheel_builds_from_the_source_distribution(sdist: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*pip, "--wheel-dir", str(tmp_path), str(sdist)], tmp_path)
    wheel = next(tmp_path.glob("*.whl"))
    assert "-cp311-abi3-linux_" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert {"shardkv/py.typed", "shardkv/_core.abi3.so"} <= set(names)
