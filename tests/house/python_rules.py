"""The house rules that Python text can break. Each checker is pure: names and texts in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from house import c_rules, c_source
from house.tree import Finding, over, places

FUNCTION_LINES, FILE_LINES = 40, 250
TOO_BROAD = {"Exception", "BaseException"}
# Bytes on disk are read and written in C alone, and so is every foreign function.
ONLY_IN_C = {"struct", "ctypes", "mmap"}
SLEEPS_IN_C = {"sleep", "usleep", "nanosleep", "clock_nanosleep", "skv_pause_ns"}
# Put together, so that the rule does not find itself.
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)


def _function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length from def to the last line; the docstring is not counted."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def function_budget(name: str, text: str) -> list[Finding]:
    """Functions stay small."""
    found: list[Finding] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, type_of_function):
            subject = f"{name}:{node.name}"
            lines = _function_lines(node)
            found += over("python-function-lines", subject, lines, FUNCTION_LINES, "lines")
    return found


def file_budget(name: str, text: str) -> list[Finding]:
    """Files stay small."""
    return over("python-file-lines", name, len(text.splitlines()), FILE_LINES, "lines")


def broad_except(name: str, text: str) -> list[Finding]:
    """A handler names what it handles."""
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            caught = (
                {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
                if node.type
                else TOO_BROAD
            )
            caught |= _attributes(node.type)
            if caught & TOO_BROAD:
                wrong.append(f"line {node.lineno}")
    return places("broad-except", name, wrong)


def _attributes(node: ast.AST | None) -> set[str]:
    return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)} if node else set()


def imports(text: str, package: str) -> set[str]:
    """Return the absolute names of all that a module of the package imports when it runs."""
    names: set[str] = set()
    todo: list[ast.AST] = [ast.parse(text)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = (
                f"{package}.{node.module or ''}".strip(".") if node.level else node.module or ""
            )
            names |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
        todo += ast.iter_child_nodes(node)
    return names


def core_only_in_native(name: str, text: str) -> list[Finding]:
    """Only _native touches the compiled module."""
    if "_native" in PurePath(name).parts or PurePath(name).stem in ("_native", "_ffi_build"):
        return []
    by_import = any(n.split(".")[:2] == ["shardkv", "_core"] for n in imports(text, "shardkv"))
    by_text = any(
        isinstance(node, ast.Constant) and node.value in ("shardkv._core", "._core")
        for node in ast.walk(ast.parse(text))
    )
    return places("core-import", name, ["imports _core"] if by_import or by_text else [])


def bytes_only_in_c(name: str, text: str) -> list[Finding]:
    """Python neither decodes what lies on disk nor calls C behind the contract's back."""
    wrong = sorted({n.split(".")[0] for n in imports(text, "shardkv")} & ONLY_IN_C)
    return places("bytes-in-python", name, wrong)


def module_state(name: str, text: str) -> list[Finding]:
    """No function rebinds a name of its module."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Global)]
    return places("module-state", name, [f"line {node.lineno}: global" for node in nodes])


def import_circles(modules: Mapping[str, str]) -> list[Finding]:
    """No module of the package imports itself through others."""
    stems = {PurePath(name).stem for name in modules}
    graph = {
        PurePath(name).stem: {
            n.split(".")[1] for n in imports(text, "shardkv") if n.startswith("shardkv.")
        }
        & stems
        for name, text in modules.items()
    }
    return [
        Finding("import-circle", module, 1, "reaches itself through its imports")
        for module in sorted(graph)
        if module in c_rules.reachable(graph, module)
    ]


def _defined(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (*type_of_function, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def python_words(name: str, text: str) -> list[Finding]:
    """The banned synonyms name nothing that Python defines."""
    return c_rules.words(name, {*_defined(text), PurePath(name).stem})


def sleeps(name: str, text: str) -> list[Finding]:
    """A test waits for what it needs; time proves nothing. A sleep of 0 only lets other tasks run."""
    if name.endswith((".c", ".h")):
        wrong = [
            f"line {line}: {call}" for line, call in c_source.calls(text) if call in SLEEPS_IN_C
        ]
        return places("test-sleep", name, wrong)
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called = node.func
            ending = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if ending == "sleep" and [ast.unparse(arg) for arg in node.args] != ["0"]:
                wrong.append(f"line {node.lineno}: sleep")
    return places("test-sleep", name, wrong)


def leftovers(name: str, text: str) -> list[Finding]:
    """Nothing is left for later in the text."""
    wrong = [f"line {n}" for n, line in enumerate(text.splitlines(), 1) if LEFTOVER.search(line)]
    return places("leftover", name, wrong)
