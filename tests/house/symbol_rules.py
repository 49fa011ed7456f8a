"""The house rules that compiled files can break: no globals, one prefix, one exported name."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from house.tree import ROOT, Finding, places

WRITABLE = "bBdDcCsSgG"
COMPILER = os.environ.get("CC") or shutil.which("cc") or "gcc"


def parse_nm(text: str) -> list[tuple[str, str]]:
    """Return (kind, name) of every line of nm's output."""
    rows = [line.split() for line in text.splitlines()]
    return [(row[-2], row[-1]) for row in rows if len(row) >= 2]


def no_globals(name: str, nm: str) -> list[Finding]:
    """An object of ours holds no writable data; read-only tables are fine."""
    return places("global", name, [n for kind, n in parse_nm(nm) if kind in WRITABLE])


def prefix(name: str, nm: str) -> list[Finding]:
    """What an object gives to the others starts with skv_."""
    given = [n for kind, n in parse_nm(nm) if kind in "TRVW" and not n.startswith("skv_")]
    return places("c-prefix", name, given)


def exports(name: str, nm: str) -> list[Finding]:
    """The extension exports its two initialisers alone, so that it collides with nothing."""
    names = [n for kind, n in parse_nm(nm) if kind not in "Uvw"]
    if sorted(names) == ["PyInit__calls", "PyInit__core"]:
        return []
    return [Finding("export", name, len(names), f"exports {' '.join(names) or 'nothing'}")]


def compile_one(source: Path, target: Path) -> Path:
    """Compile for a look at the symbols: position dependent, so that constants stay read-only."""
    flags = ["@compile_flags.txt", "-w", "-O0", "-fno-pic", "-fno-pie"]
    command = [COMPILER, *flags, "-c", str(source), "-o", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return target


def compile_all(folder: Path) -> dict[str, Path]:
    """Compile every file of csrc; return the object of each."""
    sources = sorted(ROOT.glob("csrc/*.c"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda s: compile_one(s, folder / f"{s.stem}.o"), sources))
    names = [str(source.relative_to(ROOT)) for source in sources]
    return dict(zip(names, objects, strict=True))


def nm(path: Path, *options: str) -> str:
    """Return what nm says of a file."""
    command = ["nm", "--defined-only", *options, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
