"""Builds and runs the C tests: each test_<part>.c here is a program that exits 0 when all is well.

A program is linked with what it needs of csrc and with the files here that are not tests, built
with SKV_TESTING and with ASan and UBSan; one named test_*_threads.c also with TSan. Objects stay
in build/c, so that only what changed is compiled again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "c"
COMPILER = os.environ.get("CC") or shutil.which("cc") or "gcc"
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}
FLAGS = ["@compile_flags.txt", "-Werror", "-g", "-O1", "-fno-omit-frame-pointer", "-DSKV_TESTING"]
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}
TIMEOUT_S = 120

PROGRAMS = sorted(path.stem for path in HERE.glob("test_*.c"))
RUNS = [(name, "address") for name in PROGRAMS]
RUNS += [(name, "thread") for name in PROGRAMS if name.endswith("_threads")]


def stale(target: Path, inputs: Iterable[Path]) -> bool:
    if not target.exists():
        return True
    made = target.stat().st_mtime_ns
    return any(path.stat().st_mtime_ns >= made for path in inputs)


def inputs_of(source: Path, target: Path) -> list[Path]:
    """Return what the object was made from, as the compiler noted it; nothing when unknown."""
    note = target.with_suffix(".d")
    words = note.read_text().replace("\\\n", " ").split()[1:] if note.exists() else []
    named = [ROOT / word for word in words]
    fixed = [source, ROOT / "compile_flags.txt", Path(__file__)]
    # A header that is gone makes the object stale, and so does a missing note.
    return fixed + named if words and all(path.exists() for path in named) else []


def compile_object(source: Path, sanitizer: str) -> Path:
    target = BUILD / sanitizer / f"{source.parent.name}-{source.stem}.o"
    inputs = inputs_of(source, target)
    if not inputs or stale(target, inputs):
        target.parent.mkdir(parents=True, exist_ok=True)
        run_tool(FLAGS + SANITIZERS[sanitizer] + ["-Itests/c", "-MMD", "-c", str(source)], target)
    return target


def run_tool(arguments: list[str], target: Path) -> None:
    """Call the compiler; the target appears whole or not at all."""
    unfinished = target.with_suffix(f".{os.getpid()}.tmp")
    extra = ["-MF", str(target.with_suffix(".d"))] if "-MMD" in arguments else []
    run([COMPILER, *arguments, *extra, "-o", str(unfinished)])
    unfinished.replace(target)


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stderr}", pytrace=False)


def compile_all(sources: list[Path], sanitizer: str) -> list[Path]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda source: compile_object(source, sanitizer), sources))


def build_archive(sanitizer: str) -> Path:
    """Return csrc as an archive, so that a program takes only the parts that it tests."""
    objects = compile_all(sorted(ROOT.glob("csrc/*.c")), sanitizer)
    archive = BUILD / sanitizer / "csrc.a"
    if stale(archive, objects):
        archive.unlink(missing_ok=True)
        run(["ar", "rcs", str(archive), *map(str, objects)])
    return archive


def build_program(name: str, sanitizer: str) -> Path:
    helpers = [path for path in sorted(HERE.glob("*.c")) if not path.stem.startswith("test_")]
    archive = build_archive(sanitizer)
    objects = [*compile_all([HERE / f"{name}.c", *helpers], sanitizer), archive]
    program = BUILD / sanitizer / name
    if stale(program, objects):
        run_tool([*map(str, objects), *SANITIZERS[sanitizer], "-pthread", "-ldl"], program)
    return program


def fixed_addresses() -> list[str]:
    """Return the prefix that turns off address randomisation, which TSan cannot always stand."""
    tool = shutil.which("setarch")
    works = tool and subprocess.run([tool, "-R", "true"], check=False).returncode == 0
    return [tool, "-R"] if tool and works else []


@pytest.mark.parametrize(("name", "sanitizer"), RUNS)
def test_program(name: str, sanitizer: str, tmp_path: Path) -> None:
    program = build_program(name, sanitizer)
    prefix = fixed_addresses() if sanitizer == "thread" else []
    done = subprocess.run(
        [*prefix, str(program)],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"


def test_every_program_is_named_for_a_part() -> None:
    parts = {path.stem for path in ROOT.glob("csrc/*.c")} | {
        path.stem for path in ROOT.glob("csrc/*.h")
    }
    strays = [
        name
        for name in PROGRAMS
        if not any(name == f"test_{part}" or name.startswith(f"test_{part}_") for part in parts)
    ]
    assert strays == []
