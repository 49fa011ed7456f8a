"""What a calibration says a machine can hold, and the tool that tells it."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shardkv import calibrating, plan_tool
from shardkv.calibrating import NoRoom, calibrate, sync_times
from shardkv.planning import GROWTHS, MOST, PAGE, Calibration, Model, leaf_pages, obstacles
from shardkv.queueing import Moments

FOUND = Calibration(
    value_bytes=100,
    key_bytes=16,
    sync=Moments(300, 100e-6, 100e-6**2),
    sync_p99=200e-6,
    synced_byte=1e-9,
    put=10e-6,
    submit=1e-6,
    value_byte=1e-9,
    flush_page=20e-6,
    index_bytes=20,
    log_bytes=130,
    shard_bytes=200,
    unflushed_bytes=256 << 20,
)
MODEL = Model(FOUND, 16, 100)


def run(*words: object) -> Result:
    return CliRunner().invoke(plan_tool.plan, [str(word) for word in words])


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_tool, "calibrate", lambda *_: FOUND)


def test_a_batch_as_large_as_the_data_rewrites_few_pages_and_a_small_one_a_page_a_record() -> None:
    in_leaf = PAGE * 0.68 / (116 + 26)
    budget = 256 << 20
    assert leaf_pages(116, 1, budget) * in_leaf == pytest.approx(1 - math.exp(-in_leaf), rel=0.05)
    assert leaf_pages(116, 1e6, budget) == pytest.approx(1.0, rel=1e-3)
    pages = [leaf_pages(116, growth, budget) for growth in (1, 2, 5, 10, 40, 1000)]
    assert pages == sorted(pages)


def test_pages_of_a_flush_are_those_of_the_formula() -> None:
    # N records on L leaves, a batch of B: L (1 - exp(-B / L)) leaves are met.
    batch, leaves = 1e6 / 116, 10e6 / (PAGE * 0.68 / 142)
    assert leaf_pages(116, 10, 1_000_000) * batch == pytest.approx(
        leaves / 116 * (1 - math.exp(-batch / (leaves / 116)))
    )


def test_a_large_value_has_pages_of_its_own() -> None:
    assert leaf_pages(4096, 10, 1 << 28) == 2
    assert leaf_pages(100_000, 10, 1 << 28) == 26


def test_a_put_waits_for_one_sync_at_no_load_and_for_one_and_a_half_at_a_high_one() -> None:
    assert MODEL.wait(1).mean == pytest.approx(100e-6 + FOUND.put, rel=1e-3)
    free = Model(replace(FOUND, put=1e-9, synced_byte=1e-15), 16, 100)
    assert free.wait(1e6).mean == pytest.approx(150e-6, rel=1e-3)
    assert free.wait(1e6).group == pytest.approx(100, rel=1e-3)
    assert free.wait(1e6).callers == pytest.approx(150, rel=1e-3)


def test_waits_grow_with_the_rate_and_without_end_at_the_limit() -> None:
    waits = [MODEL.wait(rate) for rate in (0, 100, 10_000, 50_000, 90_000)]
    assert [each.mean for each in waits] == sorted(each.mean for each in waits)
    assert all(each.p99 >= each.mean for each in waits)
    assert MODEL.wait(100_000).mean == math.inf
    slow = Model(replace(FOUND, synced_byte=1e-6), 16, 100)
    assert slow.wait(10_000).mean == math.inf


def test_what_is_slowest_bounds_the_rate() -> None:
    assert MODEL.burst == pytest.approx(MOST / 10e-6)
    disk = Model(replace(FOUND, synced_byte=1e-6), 16, 100)
    assert disk.burst == pytest.approx(MOST / 130e-6)
    assert MODEL.sustained(1000) == pytest.approx(MOST * MODEL.flush_rate(1000))
    assert MODEL.sustained(1000) < MODEL.burst
    fast = Model(replace(FOUND, flush_page=1e-9), 16, 100)
    assert fast.sustained(1000) == fast.burst


def test_the_highest_rate_within_a_latency_is_the_highest() -> None:
    latency = 600e-6
    rate = MODEL.rate_within(latency)
    assert 0 < rate < MODEL.burst
    assert MODEL.wait(rate).p99 <= latency < MODEL.wait(rate * 1.001).p99
    assert MODEL.rate_within(1.0) == MODEL.burst
    assert MODEL.rate_within(1e-6) == 0.0
    assert MODEL.holding(100, 1e-6).sustained == (0.0,) * len(GROWTHS)


def test_larger_values_cost_more() -> None:
    sizes = [Model(FOUND, 16, size) for size in (10, 100, 1000, 10_000, 100_000)]
    for one, other in itertools.pairwise(sizes):
        assert one.burst > other.burst
        assert one.flush_rate(10) >= other.flush_rate(10)
        assert one.needs(1).shard_growth_s < other.needs(1).shard_growth_s


def test_what_a_rate_takes() -> None:
    needs = MODEL.needs(1000)
    assert needs.shard_growth_s == pytest.approx(200_000)
    assert needs.index_heap == pytest.approx((256 << 20) / 130 * 20)
    assert needs.budget_s == pytest.approx((256 << 20) / 130_000)
    assert needs.log_disk > needs.page_cache == 256 << 20
    pages = leaf_pages(116, 10, 256 << 20)
    assert needs.device_s[1] == pytest.approx(1000 * (130 + 4096 * pages))


def test_every_obstacle_is_told() -> None:
    assert obstacles(MODEL, 1000, 1e-3) == []
    assert obstacles(MODEL, 1000, 100e-6) == ["p99 would be 0.447 ms, 0.1 ms was asked"]
    told_all = " ".join(obstacles(MODEL, 10**6, 1.0))
    assert "log and Python take 80,000 puts" in told_all
    assert "1 times the budget stored the flush takes" in told_all


@pytest.mark.usefixtures("calibrated")
def test_the_tool_answers_with_tables_needs_and_assumptions() -> None:
    found = run("--rate", 1000, "--value-bytes", 100, "--latency", 2)
    assert found.exit_code == 0
    for told in (
        "This machine holds 1,000 puts/s of 100 bytes.",
        "Latency by rate",
        "Highest rates by value size, p99 within 2 ms",
        "shards grow by 720 MB an hour",
        "memory: index up to 41.3 MB",
        "Keys are random",
        "up to 80% of what each can do",
    ):
        assert told in found.stdout
    assert "does not hold" in run("--rate", 10**6, "--value-bytes", 100).stdout


@pytest.mark.usefixtures("calibrated")
def test_json_has_no_number_without_an_end() -> None:
    found = run("--rate", 10**6, "--value-bytes", 100, "--json")
    told = json.loads(found.stdout, parse_constant=lambda name: pytest.fail(name))
    assert told["holds"] is False
    assert told["waits"][-1]["p99"] is None
    assert told["calibration"]["put"] == 10e-6


@pytest.mark.parametrize(
    "words",
    [
        ("--rate", 0, "--value-bytes", 1),
        ("--rate", "nan", "--value-bytes", 1),
        ("--rate", 1, "--value-bytes", -1),
        ("--rate", 1, "--value-bytes", 1, "--latency", 0),
        ("--rate", 1, "--value-bytes", 1, "--latency", "nan"),
        ("--rate", 1, "--value-bytes", 1, "--key-bytes", 501),
        ("--rate", 1, "--value-bytes", 1, "--directory", "/none"),
        ("--rate", 1),
    ],
)
@pytest.mark.usefixtures("calibrated")
def test_what_makes_no_sense_is_refused(words: tuple[object, ...]) -> None:
    assert run(*words).exit_code == 2


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "FREE_BYTES", 1 << 60)
    with pytest.raises(NoRoom, match="1 GiB free"):
        calibrate(tmp_path, 16, 100)
    found = run("--rate", 1, "--value-bytes", 1, "--directory", tmp_path)
    assert found.exit_code == 2
    assert "NoRoom" in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.usefixtures("calibrated")
def test_what_ends_a_plan_has_not_the_exit_code_of_damage(
    monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    """Ctrl-C, or an output that could not be written, ended it with 1."""

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(plan_tool, "say_calibration", fail)
    assert run("--rate", 1, "--value-bytes", 1).exit_code == 2


def test_large_values_are_measured_with_smaller_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "MOST_VALUE", 2000)
    monkeypatch.setattr(calibrating, "PUT_SECONDS", 0.05)
    monkeypatch.setattr(calibrating, "LOAD_BYTES", 1 << 20)
    assert calibrate(tmp_path, 16, 32 << 20).value_bytes == 2000


def test_sync_times_are_all_there_and_ascend(tmp_path: Path) -> None:
    times = sync_times(tmp_path / "probe", 4096, 20)
    assert len(times) == 20
    assert times == sorted(times)
    assert times[0] > 0


def test_a_short_run_on_this_machine(tmp_path: Path) -> None:
    words = ("--rate", "10", "--value-bytes", "1000", "--directory", str(tmp_path), "--json")
    command = [sys.executable, "-m", "shardkv", "plan", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    measured = told["calibration"]
    assert measured["log_bytes"] > 1016
    assert measured["shard_bytes"] > 1016
    assert 0 < measured["submit"] < 1
    assert 0 < measured["put"] < 1
    assert told["burst_per_s"] > 0
    assert list(tmp_path.iterdir()) == []
