"""Comparing results: ratios with their spread, and a refusal where ratios would mean nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bench import compare
from bench.__main__ import main

MACHINE = {
    "cores": 2,
    "cpu": "a",
    "memory_gib": 24,
    "file_system": "ext4",
    "kernel": "Linux 6",
    "python": "3.11",
    "versions": {"lmdb": "3.0"},
}


def result(**metrics: tuple[float, float, float]) -> dict[str, Any]:
    told = {
        name: dict(zip(("low", "median", "high"), values, strict=True))
        for name, values in metrics.items()
    }
    row = {
        "row": "1",
        "work": "put, ack disk",
        "settings": {},
        "sync": {"overwrite_us": 100.0},
        "series": [{"engine": "shardkv", "variant": "", "metrics": told}],
        "targets": [],
        "skipped": "",
    }
    engines = {"shardkv": "defaults"}
    return copy.deepcopy(
        {"machine": MACHINE, "plan": {"rounds": 5}, "engines": engines, "rows": [row]}
    )


def run(tmp_path: Path, before: object, after: object, *words: str) -> int:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, told in zip(paths, (before, after), strict=True):
        path.write_text(json.dumps(told))
    return main(["compare", *map(str, paths), *words])


@pytest.mark.parametrize(
    ("metric", "before", "after", "verdict"),
    [
        ("per_s", (90, 100, 110), (180, 200, 220), "better"),
        ("per_s", (180, 200, 220), (90, 100, 110), "worse"),
        ("per_s", (90, 100, 110), (105, 120, 130), ""),
        ("p99_us", (90, 100, 110), (180, 200, 220), "worse"),
        ("heap_bytes", (90, 100, 110), (40, 50, 60), "better"),
        ("device_per_byte", (9, 10, 11), (18, 20, 22), "worse"),
        ("s_per_gb", (3, 4, 5), (1, 2, 2.5), "better"),
    ],
)
def test_only_what_lies_outside_the_spread_of_the_rounds_has_changed(
    metric: str, before: tuple[float, ...], after: tuple[float, ...], verdict: str
) -> None:
    (found,) = compare.changes(result(**{metric: before}), result(**{metric: after}))  # type: ignore[arg-type]
    assert found.verdict == verdict


def test_the_ratio_has_the_range_that_the_rounds_allow() -> None:
    (found,) = compare.changes(result(per_s=(50, 100, 200)), result(per_s=(100, 150, 300)))
    assert (found.ratio, found.spread) == (1.5, (0.5, 6.0))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("cpu", "b", "CPU: a and b"),
        ("cores", 8, "cores: 2 and 8"),
        ("memory_gib", 8, "memory: 24 and 8"),
        ("file_system", "xfs", "file system: ext4 and xfs"),
    ],
)
def test_results_of_different_machines_are_refused(
    key: str, value: object, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = result(per_s=(1, 1, 1)), result(per_s=(1, 1, 1))
    other["machine"][key] = value
    assert run(tmp_path, one, other) == 2
    said = capsys.readouterr()
    assert f"different {told}" in said.out
    assert "--anyway" in said.err
    assert "ratio" not in said.out
    assert run(tmp_path, one, other, "--anyway") == 0
    said = capsys.readouterr()
    assert f"different {told}" in said.out
    assert "Compared anyway" in said.out
    assert "1.00 (1.00 .. 1.00)" in said.out


def test_results_of_different_durability_and_plans_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = result(per_s=(1, 1, 1)), result(per_s=(1, 1, 1))
    other["rows"][0]["work"] = "put, ack memory"
    other["plan"]["rounds"] = 3
    one["plan"]["ycsb"], other["plan"]["ycsb"] = {"records": 10}, {"records": 20}
    one["plan"]["settle_seconds"], other["plan"]["settle_seconds"] = 0, 90
    assert run(tmp_path, one, other) == 2
    said = capsys.readouterr().out
    assert "durability of row 1: put, ack disk and put, ack memory" in said
    assert "plan, rounds: 5 and 3" in said
    assert "settle" not in said
    assert "plan, ycsb.records: 10 and 20" in said
    one["rows"][0]["settings"]["durability"] = other["rows"][0]["settings"]["durability"] = "disk"
    assert compare.differences(one, {**other, "plan": one["plan"]}) == []


def test_what_may_explain_a_change_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = result(per_s=(1, 1, 1)), result(per_s=(5, 5, 5))
    other["machine"]["versions"]["lmdb"] = "3.1"
    other["machine"]["kernel"] = "Linux 7"
    other["engines"]["shardkv"] = "shards=1"
    other["rows"][0]["sync"]["overwrite_us"] = 150.0
    other["noise"] = {"reasons": ["the load was 9"]}
    other["rows"].append({**other["rows"][0], "row": "9"})
    assert run(tmp_path, one, other, "--changed") == 0
    said = capsys.readouterr().out
    for told in (
        "version of lmdb: 3.0 -> 3.1",
        "kernel: Linux 6 -> Linux 7",
        "settings of shardkv: defaults -> shards=1",
        "overwrite_us, is 1.50 times",
        "noisy in B: the load was 9",
        "1 better, 0 worse",
        "in one result only: row 9",
    ):
        assert told in said


def test_what_is_no_result_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [], result()) == 2
    assert "a.json is no result" in capsys.readouterr().err
