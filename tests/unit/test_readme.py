"""The examples of README and package do what they say."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from house.tree import ROOT

import shardkv

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
NAMED = re.compile(r"`store\.(\w+)\(")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_readme_runs(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out == "b'user/2' b'Grace'\nb'user/3' b'Edsger'\n"
    with shardkv.open("data.skv") as store:
        assert dict(store.items()) == {b"user/2": b"Grace", b"user/3": b"Edsger"}


def test_there_is_an_example() -> None:
    assert len(EXAMPLES) == 1


def test_every_call_that_the_readme_names_exists() -> None:
    named = set(NAMED.findall((ROOT / "README.md").read_text()))
    assert named >= {"put", "submit", "batch", "scan", "snapshot", "stats"}
    assert [name for name in named if not callable(getattr(shardkv.Store, name, None))] == []


def test_the_examples_of_the_package_say_what_happens() -> None:
    assert doctest.testmod(shardkv).failed == 0
