"""What a rule reads and what it answers: the files of the repository, findings, exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXCEPTIONS = Path(__file__).with_name("exceptions.txt")

RULES = {
    "include-law": "includes point down; pthread, the loader, LMDB and file headers have one home",
    "include-circle": "no header reaches itself",
    "level-table": "the table of levels names files that exist",
    "import-circle": "no module of the package imports itself through others",
    "core-import": "only _native imports the compiled module",
    "c-file-lines": "C files have at most 400 lines, headers 130, the contract 400",
    "c-function-lines": "C functions have at most 60 lines",
    "c-test-lines": "functions of C tests have at most 40 lines",
    "c-parameters": "C functions take at most 5 parameters beside the error",
    "c-readable": "the rules can read the C text",
    "c-call": "a call that belongs to one part is made there: files, threads, heap, loader, LMDB",
    "c-prefix": "what C shows to other files starts with skv_ or SKV_",
    "global": "no writable data in object files",
    "export": "the extension exports its two initialisers alone",
    "python-function-lines": "Python functions have at most 40 lines beside the docstring",
    "python-file-lines": "Python files have at most 250 lines",
    "broad-except": "handlers name what they handle",
    "module-state": "no function rebinds a name of its module",
    "bytes-in-python": "bytes on disk are decoded in C alone",
    "word": "the banned synonyms name nothing",
    "test-sleep": "no test sleeps to be right",
    "leftover": "nothing is left for later in the text",
    "defined-twice": "a macro is defined in one file",
    "format-told-twice": "tables of bytes stand in FORMAT.md alone",
    "format-untold": "FORMAT.md has its tables of bytes",
    "contract-told-twice": "C declarations stand in the contract alone",
    "contract-marks": "the region that cffi reads is marked once",
}


@dataclass(frozen=True, order=True)
class Finding:
    """One subject that breaks one rule, and by how much: a length, or the number of places."""

    rule: str
    subject: str
    size: int
    text: str

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"no such rule: {self.rule}")

    def __str__(self) -> str:
        return f"{self.rule} {self.subject} {self.size}: {self.text}"


def over(rule: str, subject: str, size: int, most: int, unit: str) -> list[Finding]:
    """Return one finding when a size is over its budget."""
    return [Finding(rule, subject, size, f"at most {most} {unit}")] if size > most else []


def places(rule: str, subject: str, found: Iterable[str]) -> list[Finding]:
    """Return one finding for all places in one subject that break a rule."""
    texts = list(found)
    return [Finding(rule, subject, len(texts), "; ".join(texts))] if texts else []


def read(*patterns: str) -> dict[str, str]:
    """Return path from the root and text of every file that a pattern names."""
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()})
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


@dataclass(frozen=True)
class Allowance:
    """One line of exceptions.txt: what may break a rule, how far, and why."""

    rule: str
    subject: str
    size: int
    reason: str


def parse_exceptions(text: str) -> list[Allowance]:
    """Read lines `rule subject size reason`; blank lines and those after # say nothing."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    entries = []
    for line in lines:
        words = line.split(maxsplit=3)
        if len(words) != 4 or words[0] not in RULES or not words[2].isdigit():
            raise ValueError(f"exceptions.txt: want `rule subject size reason`, got: {line}")
        entries.append(Allowance(words[0], words[1], int(words[2]), words[3]))
    return entries


def judge(findings: Iterable[Finding], exceptions: Iterable[Allowance]) -> list[str]:
    """Return what is wrong once the exceptions are taken into account; they may only shrink."""
    sizes: Mapping[tuple[str, str], int] = {(e.rule, e.subject): e.size for e in exceptions}
    broken = {(finding.rule, finding.subject): finding for finding in findings}
    wrong = [str(found) for key, found in broken.items() if found.size > sizes.get(key, -1)]
    for key, size in sizes.items():
        now = broken[key].size if key in broken else 0
        if now < size:
            what = f"lower it to {now}" if now else "take the line out"
            wrong.append(f"exceptions.txt: {' '.join(key)} is better than its entry; {what}")
    return sorted(wrong)
