"""Whole runs of the benchmark with tiny counts, and what makes a run or its figures refused."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench import figures, plans, run
from bench.__main__ import main
from bench.noise import Noise, calibrate, load_noise, row_noise
from bench.plans import QUICK, Plan
from bench.result import RowResult
from bench.suites import ROWS, SUITES, rows_of

pytestmark = pytest.mark.unsanitized  # whole runs, of other engines too

TINY = {
    "seconds": 0.02,
    "warm_seconds": 0.001,
    "loop_records": 20_000,
    "table_records": 2_000,
    "gets": 2_000,
    "log_records": 2_000,
    "peer_log_records": 1_000,
    "clean_records": 2_000,
    "heap_records": 60_000,
    "ring_lookups": 10_000,
    "ingest_records": 3_000,
    "beyond_records": 3_000,
    "device_records": 3_000,
    "tail_seconds": 0.05,
    "tail_records": 2_000,
    "scaling_seconds": 0.02,
    "peer_records": 2_000,
    "shards_records": 2_000,
}
NOISY = {"loop_ms": 10.0, "overwrite_us": 100.0, "append_us": 200.0}


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real one takes most of a tiny run.
    monkeypatch.setattr("bench.noise.calibrate", lambda _: NOISY)


def measured(directory: Path, *words: str) -> tuple[int, dict[str, Any]]:
    output = directory / "result.json"
    tiny = [f"--set={name}={value}" for name, value in TINY.items()]
    engines = ["--engines", "shardkv,py-lmdb,sqlite3"]  # those that are always here
    places = ["--directory", str(directory / "scratch"), "--output", str(output)]
    status = main([*words, "--quick", "--rounds=1", *tiny, *engines, *places])
    assert not list((directory / "scratch").iterdir()), "scratch files are left"
    return status, json.loads(output.read_text())


@pytest.mark.usefixtures("calibrated")
@pytest.mark.parametrize("suite", [name for name in SUITES if name != "ycsb"])
def test_every_row_of_a_suite_measures_something_and_cleans_up(suite: str, tmp_path: Path) -> None:
    _, result = measured(tmp_path, suite)
    assert [row["row"] for row in result["rows"]] == rows_of([suite])
    for row in result["rows"]:
        assert not row["skipped"]
        assert row["series"], row["row"]
        assert len(row["calibrations"]) >= 2, row["row"]
        assert all(target["measured"] or "peer" in target for target in row["targets"]), row["row"]


def test_a_row_whose_files_do_not_fit_is_told_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: Usage(10**6))
    _, result = measured(tmp_path, "memory")
    assert "needs 2.0 GB free in" in result["rows"][0]["skipped"]
    assert "row 13 does not run: it needs 2.0 GB free in" in " ".join(
        capsys.readouterr().out.split()
    )


def test_more_records_need_more_room() -> None:
    row = ROWS["12"]
    assert (
        row.disk_bytes(plans.changed(QUICK, {"clean_records": 1e9})) > 200e9 > row.disk_bytes(QUICK)
    )
    assert shutil.disk_usage("/").total > 0


def test_a_setting_keeps_counts_whole_and_names_what_it_does_not_know() -> None:
    gets = plans.changed(Plan(), dict([plans.setting("gets=1e3")])).gets
    assert isinstance(gets, int)
    assert gets == 1000
    assert plans.changed(Plan(), dict([plans.setting("seconds=0.5")])).seconds == 0.5
    with pytest.raises(ValueError, match=r"no figure 'getz'; there are rounds, "):
        plans.setting("getz=3")
    with pytest.raises(ValueError, match=r"gets must be a positive number, as gets=200000"):
        plans.setting("gets=many")


def test_a_calibration_that_drifts_within_a_row_is_noise() -> None:
    steady = RowResult("1", "", calibrations=(NOISY, {**NOISY, "append_us": 900.0}))
    assert row_noise(steady) == []
    drifted = RowResult("1", "", calibrations=(NOISY, NOISY, {**NOISY, "loop_ms": 21.0}))
    assert row_noise(drifted) == ["row 1: loop_ms went from 10 to 21, 2.10x (limit 2.0x)"]
    assert row_noise(RowResult("1", "")) == []


@pytest.mark.parametrize(("noisy", "attempts"), [(0, 1), (1, 2), (9, 3)])
def test_a_row_is_measured_again_while_the_machine_is_noisy(
    noisy: int, attempts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifts = iter([21.0] * noisy + [10.0] * 9)
    seen = itertools.count()

    def calibrate(_: Path) -> dict[str, float]:  # twice in each attempt; the second one tells
        return {**NOISY, "loop_ms": next(drifts)} if next(seen) % 2 else NOISY

    monkeypatch.setattr("bench.noise.calibrate", calibrate)
    _, result = measured(tmp_path, "--rows", "14", "--set", "attempts=3")
    (row,) = result["rows"]
    assert row["attempts"] == attempts
    assert len(row["calibrations"]) == 2, "of the last attempt alone"
    assert any("row 14: loop_ms" in one for one in result["noise"]["reasons"]) == (noisy == 9)


def test_load_at_the_start_is_noise() -> None:
    assert load_noise(0.5, cores=2) == []
    assert load_noise(0.7, cores=2) == ["the load was 0.70 at the start (limit 0.60)"]


def test_a_calibration_has_what_the_limits_judge(tmp_path: Path) -> None:
    assert calibrate(tmp_path).keys() == NOISY.keys()


@pytest.mark.usefixtures("calibrated")
@pytest.mark.parametrize("accepted", [False, True])
def test_a_noisy_run_fails_the_check_unless_that_is_accepted(
    accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "load_noise", lambda _: ["the load was high"])
    monkeypatch.setattr(run, "row_noise", lambda _: [])
    monkeypatch.setattr(run, "judge", lambda _: [])
    words = ["--accept-noise"] if accepted else []
    status, result = measured(tmp_path, "memory", "--check", *words)
    assert status == (0 if accepted else 1)
    assert result["noise"] == {"reasons": ["the load was high"], "accepted": accepted}


def test_the_figures_of_a_noisy_run_are_refused_unless_that_was_accepted() -> None:
    result = {
        "machine": {
            "cores": 2,
            "cpu": "",
            "file_system": "",
            "kernel": "",
            "python": "",
            "load_at_start": 1,
        },
        "plan": {"rounds": 5, "seconds": 1},
        "rows": [],
    }
    noise = {"reasons": ["the load was high"], "accepted": False}
    with pytest.raises(ValueError, match="too noisy: the load was high"):
        figures.figures({**result, "noise": noise})
    assert figures.figures({**result, "noise": {**noise, "accepted": True}}).endswith(
        "The machine was noisy.\n"
    )
    assert "noisy" not in figures.figures(result)
    assert Noise(("reason",)).refused


def test_the_rows_of_the_ring_tell_what_each_shard_holds(tmp_path: Path) -> None:
    _, result = measured(tmp_path, "--rows", "14")
    (series,) = result["rows"][0]["series"]
    (curve,) = series["curves"]
    assert (curve["name"], len(curve["y"])) == ("shard_records", 64)
    found = max(curve["y"]) * 64 / sum(curve["y"])
    assert series["metrics"]["max_share"]["median"] == pytest.approx(found, abs=1e-4)
