"""The row that sees log and flush as queues, from the measurement to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.page import queues
from bench.rows.queueing import RATES, Seen
from shardkv.queueing import Moments


def test_what_a_turn_saw_becomes_the_figures_of_a_stage() -> None:
    seen = Seen(waits=[1e-3, 3e-3], inside=[1, 2, 3, 2])
    turn = seen.turn(2.0, 2000, Moments(500, 2e-3, 5e-6))
    assert turn == pytest.approx(
        {
            "rate_per_s": 1000,
            "wait_us": 2000,
            "p50_us": 3000,
            "p99_us": 3000,
            "in_system": 2,
            "service_us": 2000,
            "service_us2": 5e6,
            "group": 4,
            "busy_share": 0.5,
        }
    )
    assert set(queues.STAGE) <= turn.keys()


def test_a_short_run_gives_every_stage_and_the_page_tells_them(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    words = (
        f"queueing --quick --set rounds=1 --set seconds=0.1 --output {path} --directory {tmp_path}"
    )
    main(words.split())
    (row,) = json.loads(path.read_text())["rows"]
    found = queues.stages(row)
    assert len(found) == len(RATES) + 1
    for stage in found:
        assert stage.wait > 0
        assert stage.group >= 1
        assert stage.busy > 0
    assert main(["report", str(path), "--output", str(tmp_path / "report")]) == 0
    told = (tmp_path / "report" / "index.html").read_text()
    assert "Queueing: measured beside predicted" in told
    assert "log, 1,000/s" in told
