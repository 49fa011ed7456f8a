"""C text as the rules see it: without comments and strings, its functions, its calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

COMMENT = r"//[^\n]*|/\*.*?\*/"
LITERAL = r'"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'"
TOKENS = re.compile(f"({COMMENT})|({LITERAL})", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """One definition: length counts from the first line of the head to the closing brace."""

    name: str
    lines: int
    parameters: tuple[str, ...]


def _blanked(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def without_comments(text: str) -> str:
    """Return the text with comments blanked, lines kept."""
    return TOKENS.sub(lambda m: _blanked(m[0]) if m[1] else m[0], text)


def code(text: str) -> str:
    """Return the text with comments and the insides of literals blanked, lines kept."""
    return TOKENS.sub(lambda m: _blanked(m[0]) if m[1] else f"0{_blanked(m[0][1:])}", text)


def includes(text: str) -> list[tuple[bool, str]]:
    """Return (is a system header, name) of every include."""
    return [(mark == "<", name) for mark, name in INCLUDE.findall(without_comments(text))]


def macros(text: str) -> list[str]:
    """Return the macros that the text defines."""
    return MACRO.findall(without_comments(text))


def calls(text: str) -> list[tuple[int, str]]:
    """Return (line, name) of everything that is called or looks like it."""
    plain = code(text)
    return [(plain.count("\n", 0, m.start()) + 1, m[1]) for m in CALL.finditer(plain)]


def identifiers(text: str) -> set[str]:
    """Return every word of the code."""
    return set(re.findall(r"[A-Za-z_]\w*", code(text)))


def functions(text: str) -> list[Function]:
    """Return the functions that the text defines. Raises ValueError when braces do not pair."""
    plain = DIRECTIVE.sub(lambda m: _blanked(m[0]), code(text))
    plain = ATTRIBUTE.sub(lambda m: _blanked(m[0]), plain)
    found = []
    for head, start, end in _blocks(plain):
        parsed = _parse_head(head)
        if parsed:
            found.append(Function(parsed[0], plain.count("\n", start, end) + 1, parsed[1]))
    return found


def _blocks(plain: str) -> Iterator[tuple[str, int, int]]:
    """Yield head, start and end of every outermost pair of braces."""
    depth = start = opened = 0
    for match in re.finditer(r"[{};]", plain):
        at, mark = match.start(), match[0]
        if mark == "{":
            opened = at if depth == 0 else opened
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth < 0:
                raise ValueError("a closing brace without an opening one")
            if depth == 0:
                head = plain[start:opened]
                yield head, start + len(head) - len(head.lstrip()), at
                start = at + 1
        elif depth == 0:
            start = at + 1
    if depth:
        raise ValueError("an opening brace without a closing one")


def _parse_head(head: str) -> tuple[str, tuple[str, ...]] | None:
    """Return name and parameters when the text before a brace is the head of a function."""
    head = head.rstrip()
    if not head.endswith(")"):
        return None
    depth = 0
    for at in range(len(head) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(head[at], 0)
        if depth == 0:
            break
    name = re.search(r"([A-Za-z_]\w*)\s*$", head[:at])
    return (name[1], _split(head[at + 1 : -1])) if name else None


def _split(parameters: str) -> tuple[str, ...]:
    parts, depth = [""], 0
    for char in parameters:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    named = [part.strip() for part in parts]
    return () if named in ([""], ["void"]) else tuple(named)
