"""The house rules about descriptions: every format and the contract are written down once."""

from __future__ import annotations

import re

from house.tree import Finding, places

FORMAT = "csrc/FORMAT.md"
CONTRACT_MARKS = ("/* cffi: begin */", "/* cffi: end */")
FIELD_TABLE = re.compile(r"^\|\s*offset\s*\|\s*(bytes|size)\s*\|", re.MULTILINE | re.IGNORECASE)
DECLARATION = re.compile(r"\bskv_\w+\s*\([^()]*\)\s*;")


def field_tables(name: str, text: str) -> list[Finding]:
    """Tables of bytes stand in FORMAT.md alone."""
    tables = [m[0] for m in FIELD_TABLE.finditer(text)] if name != FORMAT else []
    return places("format-told-twice", name, tables)


def format_is_told(text: str) -> list[Finding]:
    """FORMAT.md has tables of bytes."""
    found = bool(FIELD_TABLE.search(text))
    return [] if found else [Finding("format-untold", FORMAT, 1, "no table `offset | bytes | ...`")]


def one_contract(name: str, text: str) -> list[Finding]:
    """Python holds no second copy of a C declaration."""
    return places("contract-told-twice", name, [m[0] for m in DECLARATION.finditer(text)])


def contract_marks(name: str, text: str) -> list[Finding]:
    """The region that cffi reads is marked once, begin before end."""
    begin, end = CONTRACT_MARKS
    good = text.count(begin) == text.count(end) == 1 and text.index(begin) < text.index(end)
    return (
        [] if good else [Finding("contract-marks", name, 1, f"want one {begin} before one {end}")]
    )
