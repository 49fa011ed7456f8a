"""The rules, applied to the repository. What each rule is for stands in its checker's docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from house import c_rules, format_rules, python_rules, symbol_rules
from house.tree import EXCEPTIONS, ROOT, RULES, Allowance, Finding, judge, parse_exceptions, read

# How many lines exceptions.txt has. It may only go down.
EXCEPTIONS_TODAY = 1

C = ("csrc/*.c", "csrc/*.h", "csrc/include/*.h")
HEADERS = ("csrc/*.h", "csrc/include/*.h")
PACKAGE = ("shardkv/**/*.py",)
EXTENSION = "shardkv/_core*.so"
TESTS = ("tests/**/*.py", "tests/**/*.c", "tests/**/*.h")
Checker = Callable[[str, str], list[Finding]]

PER_FILE: dict[tuple[str, ...], tuple[Checker, ...]] = {
    PACKAGE: (
        python_rules.function_budget,
        python_rules.file_budget,
        python_rules.broad_except,
        python_rules.core_only_in_native,
        python_rules.bytes_only_in_c,
        python_rules.module_state,
        python_rules.python_words,
        format_rules.one_contract,
    ),
    ("shardkv/aio/*.py",): (
        python_rules.function_budget,
        python_rules.file_budget,
        python_rules.broad_except,
        python_rules.core_only_in_native,
        python_rules.bytes_only_in_c,
        python_rules.module_state,
        python_rules.python_words,
    ),
    ("bench/**/*.py",): (
        python_rules.function_budget,
        python_rules.file_budget,
        python_rules.core_only_in_native,
    ),
    ("tests/**/*.py",): (python_rules.function_budget,),
    ("csrc/python/*.c",): (c_rules.file_budget, c_rules.function_budget),
    ("tests/**/*.c",): (c_rules.test_function_budget,),
    TESTS: (python_rules.sleeps,),
    (*C, *PACKAGE, "shardkv/aio/*.py", *TESTS, "bench/**/*.py", "Makefile"): (
        python_rules.leftovers,
    ),
    ("*.md", "[a-z]*/**/*.md"): (format_rules.field_tables,),
    ("csrc/include/*.h",): (format_rules.contract_marks,),
}


def _texts() -> Iterator[Finding]:
    for name, text in read(*C).items():
        yield from c_rules.check_file(name, text)
    for patterns, checkers in PER_FILE.items():
        for name, text in read(*patterns).items():
            for checker in checkers:
                yield from checker(name, text)
    yield from c_rules.include_circles(read(*HEADERS))
    yield from c_rules.levels_without_file(list(read(*C)))
    yield from c_rules.defined_twice(read(*C))
    yield from python_rules.import_circles(read(*PACKAGE))
    yield from format_rules.format_is_told("".join(read(format_rules.FORMAT).values()))


def _objects(objects: dict[str, Path]) -> Iterator[Finding]:
    for name, path in objects.items():
        told = symbol_rules.nm(path)
        yield from symbol_rules.no_globals(name, told)
        yield from symbol_rules.prefix(name, told)


def _extensions() -> Iterator[Finding]:
    for path in ROOT.glob(EXTENSION):
        yield from symbol_rules.exports(path.name, symbol_rules.nm(path, "-D"))


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    objects = symbol_rules.compile_all(tmp_path_factory.mktemp("objects"))
    return [*_texts(), *_objects(objects), *_extensions()]


@pytest.fixture(scope="module")
def allowances() -> list[Allowance]:
    return parse_exceptions(EXCEPTIONS.read_text())


@pytest.mark.parametrize("rule", RULES)
def test_the_repository_keeps_the_rule(
    rule: str, findings: list[Finding], allowances: list[Allowance]
) -> None:
    wrong = judge(
        [finding for finding in findings if finding.rule == rule],
        [allowance for allowance in allowances if allowance.rule == rule],
    )
    assert not wrong, f"{RULES[rule]}\n" + "\n".join(wrong)


def test_the_list_of_exceptions_only_gets_shorter(allowances: list[Allowance]) -> None:
    assert len(allowances) == EXCEPTIONS_TODAY


def test_the_extension_was_built() -> None:
    assert list(ROOT.glob(EXTENSION)), "no extension beside the package: run make test"
