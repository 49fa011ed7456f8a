"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import shardkv
from shardkv.tools import tools


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with shardkv.open(tmp_path / "store", shards=2) as store:
        store[b"a"] = b"\x00one"
        store[b"b"] = b"two"
        store.namespace("hidden")["key"] = 1
    return tmp_path / "store"


def run(*words: object) -> Result:
    return CliRunner().invoke(tools, [str(word) for word in words])


def damage(path: Path) -> None:
    for data in path.glob("shards/*/data.mdb"):
        data.write_bytes(data.read_bytes().replace(b"\x00one", b"\x00onE"))


def test_check_says_that_all_is_well(path: Path) -> None:
    found = run("check", path)
    assert (found.exit_code, found.stdout[:10]) == (0, "0 findings")
    told = json.loads(run("check", path, "--json", "--no-pages").stdout)
    assert told["ok"] is True
    assert told["findings"] == []
    assert told["parts"] == 5


def test_check_exits_with_1_when_there_is_damage(path: Path) -> None:
    damage(path)
    found = run("check", path)
    assert found.exit_code == 1
    assert "is not what was written" in found.stdout
    told = run("check", path, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["findings"][0]["seqno"] == 1


def test_backup_and_restore_copy(path: Path, tmp_path: Path) -> None:
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    assert run("backup", path, backup).exit_code == 0
    told = run("restore", backup, restored, "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["seqno"] == 5
    with shardkv.open(restored) as store:
        assert dict(store) == {b"a": b"\x00one", b"b": b"two"}
        assert store.namespace("hidden")["key"] == 1


def test_backup_again_brings_it_up_to_date(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    assert run("backup", path, backup, "--max-bytes-per-s", 10_000_000).exit_code == 0
    with shardkv.open(path, retain_log_bytes=1 << 20) as store:
        store[b"c"] = b"three"
    assert "seqno 6, grown from 5" in run("backup", path, backup).stdout
    assert json.loads(run("backup", path, backup, "--json").stdout)["since"] == 6
    assert run("dump", backup, "--keys").stdout == "b'a'\nb'b'\nb'c'\n"
    with shardkv.open(path) as store:
        store[b"d"] = b"four"
    assert run("backup", path, backup).exit_code == 0
    with shardkv.open(backup) as store:
        assert len(store) == 4
    told = run("backup", path, backup)
    assert told.exit_code == 2
    assert "was written to since" in told.stderr


def test_what_cannot_be_done_exits_with_2_and_says_why(path: Path, tmp_path: Path) -> None:
    with shardkv.open(path):
        found = run("check", path)
        assert found.exit_code == 2
        assert "LockedError" in found.stderr
        told = run("backup", path, tmp_path / "backup", "--json")
        assert told.exit_code == 2
        assert json.loads(told.stdout)["error"] == "LockedError"
    found = run("restore", path, tmp_path / "restored", "--until", 10**6)
    assert found.exit_code == 2
    assert "can be had" in found.stderr
    assert run("dump", tmp_path).exit_code == 2
    assert run("check", tmp_path / "none").exit_code == 2
    assert run("check").exit_code == 2
    assert run("chekc", path).exit_code == 2


def test_a_damaged_backup_exits_with_1(path: Path, tmp_path: Path) -> None:
    damage(path)
    found = run("restore", path, tmp_path / "restored")
    assert found.exit_code == 1
    assert "CorruptionError" in found.stderr


def test_dump_prints_rows_in_order(path: Path) -> None:
    assert run("dump", path).stdout == "b'a' b'\\x00one'\nb'b' b'two'\n"
    assert run("dump", path, "--keys", "--limit", 1).stdout == "b'a'\n"
    (line,) = run("dump", path, "--json", "--prefix", "b").stdout.splitlines()
    row = json.loads(line)
    assert {name: base64.b64decode(text) for name, text in row.items()} == {
        "key": b"b",
        "value": b"two",
    }


def test_stats_prints_counters(path: Path) -> None:
    assert "keys: 2" in run("stats", path).stdout
    told = json.loads(run("stats", path, "--json").stdout)
    assert told["keys"] == 2
    assert len(told["shards"]) == 2


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_missing_packages_are_told(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import runpy; runpy.run_module('shardkv')"
    code = code.replace("'shardkv')", "'shardkv', run_name='__main__')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"needs {missing}, which is not installed: pip install 'shardkv[cli]'" in done.stderr


def test_a_failing_system_call_exits_with_2(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a traceback, with the exit code of damage."""

    def fail(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(shardkv, "check", fail)
    result = CliRunner().invoke(tools, ["check", str(path)])
    assert result.exit_code == 2
    assert "PermissionError: not yours" in result.output


def test_dump_takes_a_prefix_of_any_bytes(path: Path) -> None:
    with shardkv.open(path) as store:
        store[b"\xfe1"] = b"v"
    result = CliRunner().invoke(tools, ["dump", "--prefix", os.fsdecode(b"\xfe"), str(path)])
    assert (result.exit_code, result.output) == (0, "b'\\xfe1' b'v'\n")


@pytest.mark.parametrize("words", [["check", "--no-pages"], ["dump"], ["stats"]])
def test_output_that_cannot_be_written_is_no_damage(path: Path, words: list[str]) -> None:
    """With --json the error was written there as well, and a traceback's exit code is that of damage."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "shardkv", *words, "--json", path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("OSError: [Errno 28]")
    assert "Traceback" not in done.stderr


def test_paths_that_are_no_text_are_printed_as_they_are(path: Path, tmp_path: Path) -> None:
    """The backup was made; then came a traceback, with the exit code of damage."""
    dest = bytes(tmp_path) + b"/caf\xe9"
    done = subprocess.run(
        [sys.executable, "-m", "shardkv", "backup", path, dest],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(dest + b" holds all up to seqno 5")


def test_ctrl_c_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended with 1, as damage does."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shardkv, "check", interrupt)
    found = run("check", path)
    assert (found.exit_code, found.stderr) == (2, "interrupted\n")
