"""The examples of README and package do what they say."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from house.tree import ROOT

import shardkv
from bench import figures

# A block of Python, and the block of what it prints.
EXAMPLES = re.findall(
    r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", (ROOT / "README.md").read_text(), re.DOTALL
)
NAMED = re.compile(r"`store\.(\w+)\(")


@pytest.mark.parametrize(("example", "printed"), EXAMPLES)
def test_an_example_of_the_readme_prints_what_the_readme_says(
    example: str,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed
    shardkv.open("data.skv", create=False).close()


def test_the_first_example_stores_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[0][0], "README.md", "exec"), {})
    with shardkv.open("data.skv") as store:
        assert dict(store.items()) == {b"user/2": b"Grace", b"user/3": b"Edsger"}


def test_every_example_says_what_it_prints() -> None:
    assert len(EXAMPLES) >= 8
    assert all(printed for _, printed in EXAMPLES)


def test_every_call_that_the_readme_names_exists() -> None:
    named = set(NAMED.findall((ROOT / "README.md").read_text()))
    assert named >= {
        "put",
        "submit",
        "batch",
        "scan",
        "snapshot",
        "stats",
        "lock",
        "locks",
        "namespace",
        "lease",
        "transaction",
    }
    assert [name for name in named if not callable(getattr(shardkv.Store, name, None))] == []


def test_the_figures_are_those_of_the_committed_result_that_the_readme_names() -> None:
    readme = (ROOT / "README.md").read_text()
    assert figures.updated(readme) == readme, "run: python -m bench.figures"


def test_the_picture_is_that_of_the_committed_result_that_the_readme_names() -> None:
    readme = (ROOT / "README.md").read_text()
    drawn = (ROOT / figures.PICTURE).read_text()
    assert drawn == figures.picture(readme), "run: python -m bench.figures"
    assert f"]({figures.PICTURE})" in readme


def test_the_targets_are_those_of_the_committed_result_that_the_document_names() -> None:
    document = figures.PERFORMANCE.read_text()
    assert figures.updated_targets(document) == document, "run: python -m bench.figures"
    for row in range(1, 16):
        assert f"\n| {row} | " in document


def test_the_examples_of_the_package_say_what_happens() -> None:
    assert doctest.testmod(shardkv).failed == 0
