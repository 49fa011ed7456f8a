"""What the sustained suite counts: bytes on the device, space, latencies over time, loads that stop early."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import device
from bench.device import Written
from bench.engines import Durability
from bench.harness import Harness
from bench.plans import QUICK
from bench.result import Curve, Series, Traced, along
from bench.rows.ingest import BATCH_RECORDS, LEAST_BUDGET_BYTES, Ingest, ingest
from bench.timeline import STEP_NS, Timeline, timed_puts


def test_the_device_is_found_by_its_numbers_and_its_written_sectors_are_counted(
    tmp_path: Path,
) -> None:
    here = os.stat(tmp_path).st_dev
    fields = "1271955 92622 46798202 1917312 38832212 1212997 {} 15514049 0 3037836 19053336"
    stats = tmp_path / "diskstats"
    stats.write_text(
        f"   9       9 other {fields.format(111)}\n"
        f" {os.major(here)}       {os.minor(here)} vda {fields.format(7)}\n"
    )
    assert device.device_bytes(tmp_path, stats) == 7 * 512
    stats.write_text(f"   9       9 other {fields.format(111)}\n")
    assert device.device_bytes(tmp_path, stats) is None


def test_what_was_written_is_told_for_each_byte_put_by_both_counters() -> None:
    before, after = Written(1_000, 50), Written(4_000, 650)
    assert after.per_byte(before, 1_000) == {"device_per_byte": 3.0, "process_per_byte": 0.6}
    assert Written(None, 650).per_byte(Written(None, 50), 600) == {"process_per_byte": 1.0}


def test_a_hole_takes_no_space(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 30)
        file.write(b"x" * 5000)
    assert 0 < device.space_bytes(tmp_path) < 1 << 20


def test_a_step_without_a_call_is_a_point_of_rate_zero() -> None:
    line = Timeline(1_000, records=10)
    line.ends += [1_000 + STEP_NS // 2, 1_000 + STEP_NS // 2, 1_000 + 2 * STEP_NS + 1]
    line.spans += [2_000, 4_000, 150_000_000]
    curves = {one.name: one for one in line.curves()}
    assert curves["per_s"] == Curve("per_s", "s", (0.1, 0.2, 0.3), (200.0, 0.0, 100.0))
    assert curves["p50_us"].y == (3.0, 0.0, 150_000.0)
    assert curves["max_us"].y == (4.0, 0.0, 150_000.0)
    assert line.percentiles()["max_ms"] == 150.0
    assert Timeline(0).curves()[0].x == ()


def test_puts_are_timed_from_the_end_of_the_one_before() -> None:
    clock = iter([100, 130, 190, 200])
    put: list[bytes] = []
    line = timed_puts(
        lambda key, _: put.append(key),
        [(b"a", b""), (b"b", b""), (b"c", b"")],
        lambda: next(clock),
        lambda now: now >= 190,
    )
    assert (put, line.ends, line.spans) == ([b"a", b"b"], [130, 190], [30, 60])


def test_the_last_variant_of_each_engine_gets_the_curve_over_all_variants() -> None:
    series = [
        Series("shardkv", "1 shard", {"per_s": (1.0, 3.0, 2.0)}),
        Series("shardkv", "2 shards", {"per_s": (5.0,)}),
        Series("plyvel", "2 shards", {"other": (5.0,)}),
        Series("shardkv", "extra", {"per_s": (9.0,)}),
    ]
    found = along(series, "per_s", "per_s", "shards", {"1 shard": 1, "2 shards": 2})
    assert [one.curves for one in found] == [
        (),
        (Curve("per_s", "shards", (1, 2), (2.0, 5.0)),),
        (),
        (),
    ]


def test_a_series_keeps_the_curves_of_its_median_turn() -> None:
    turns = [
        Traced({"per_s": rate}, (Curve("per_s", "s", (0.1,), (rate,)),)) for rate in (3.0, 1.0, 2.0)
    ]
    found = Series.of("shardkv", "", turns)
    assert found.metrics == {"per_s": (3.0, 1.0, 2.0)}
    assert [one.y for one in found.curves] == [(2.0,)]
    assert Series.of("shardkv", "", turns[:2]).curves == turns[1].curves


def test_the_budget_is_a_share_of_the_records_bytes_and_never_tiny() -> None:
    assert Ingest(10_000_000, 0.23).budget_bytes == pytest.approx(256 << 20, rel=0.01)
    assert Ingest(1_000, 0.23).budget_bytes == LEAST_BUDGET_BYTES


@pytest.mark.parametrize(("seconds", "made"), [(60.0, 5 * BATCH_RECORDS), (0.0, BATCH_RECORDS)])
def test_a_load_that_takes_too_long_stops_and_says_how_far_it_came(
    seconds: float, made: int, tmp_path: Path
) -> None:
    load = Ingest(5 * BATCH_RECORDS, 0.3, Durability.DISK, seconds)
    with Harness(QUICK, ["shardkv"], tmp_path) as harness:
        turn, curves = ingest(harness, "shardkv", load)
    assert turn["made_records"] == made
    assert turn["space_per_byte"] > 1
    assert {"per_s", "unflushed_bytes"} <= {one.name for one in curves}
    assert not list(tmp_path.iterdir())
