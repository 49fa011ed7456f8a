"""The command line for families: what it prints, and its exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from peers.families import Away, contents, family, put

import shardkv
from shardkv.tools import tools

Places = tuple[Path, Path, Path]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    family(*places)
    return places


def run(*words: object) -> Result:
    return CliRunner().invoke(tools, [str(word) for word in words])


def told(*words: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(run(*words, "--json").stdout)
    return found


def test_peers_are_shown_as_their_directories_say(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    lines = run("peers", "show", a, b, c, "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["role"] for one in found] == ["primary", "peer", "peer"]
    assert {one["seqno"] for one in found} == {3}
    assert all(one["members"] == [str(b), str(c)] for one in found)
    assert len({one["family"] for one in found}) == 1
    shown = run("peers", "show", a, tmp_path / "none")
    assert shown.exit_code == 2
    assert "holds no store" in shown.stdout
    (b / "MANIFEST").write_bytes(b"")
    (b / "MANIFEST.bak").write_bytes(b"")
    assert run("peers", "show", b).exit_code == 1
    with shardkv.open(a):
        shown = run("peers", "show", a)
    assert shown.exit_code == 2
    assert "newest seqno unknown" in shown.stdout


def test_peers_are_added_and_removed(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    d = tmp_path / "d"
    assert told("peers", "add", a, d)["seqno"] == 3
    assert contents(d) == contents(a)
    assert told("peers", "remove", a, c)["members"] == [str(b), str(d)]
    assert run("peers", "remove", a, c).exit_code == 2
    assert run("peers", "add", a, a / "inside").exit_code == 2
    assert run("peers", "add", c, b).exit_code == 2


def test_promote_and_rejoin(places: Places, tmp_path: Path) -> None:
    a, b, c = places
    export = tmp_path / "export"
    with Away(b, c):
        put(a, "old")
    refused = run("promote", b)
    assert refused.exit_code == 2
    assert "AckError" in refused.stderr
    done = told("promote", b, "--force")
    assert (done["path"], done["seqno"]) == (str(b), 3)
    assert done["unknown"] == [str(a), str(c)]
    assert run("promote", b).exit_code == 2
    assert told("rejoin", a, export, "--primary", b)["records"] == 1
    assert [record.key for record in shardkv.read_export(export)] == [b"old"]
    shutil.rmtree(c)
    assert told("peers", "add", b, a)["seqno"] == 3
    assert contents(a) == contents(b)
    again = run("rejoin", a, export, "--primary", b)
    assert "goes on as a peer" in again.stdout
