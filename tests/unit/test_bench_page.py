"""The report: pages and pictures that need nothing from elsewhere and can be read by everybody."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from house.tree import ROOT

from bench.__main__ import main
from bench.page import charts, markdown, queues
from bench.page.html import page
from bench.page.pictures import pictures
from bench.page.read import flat, load, merged
from bench.page.scale import linear, logarithmic, round_step
from bench.page.svg import Drawing, colours, hue

RESULTS = sorted((ROOT / "bench" / "results").glob("*.json"))
SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {"cores": 2, "cpu": "a", "file_system": "ext4", "kernel": "Linux", "python": "3"}


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median * 0.9, "high": median * 1.1}


def curve(name: str, y: list[float], x_name: str = "s") -> dict[str, Any]:
    return {"name": name, "x_name": x_name, "x": list(range(len(y))), "y": y}


def row(*curves: dict[str, Any], **metrics: float) -> dict[str, Any]:
    told = {name: spread(value) for name, value in metrics.items()}
    series = {"engine": "shardkv", "variant": "", "metrics": told, "curves": curves}
    common = {"skipped": "", "settings": {}, "sync": {}, "targets": []}
    return {"row": "6", "work": "ingest", "series": [series], **common}


def result(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"machine": MACHINE, "plan": {"rounds": 5}, "engines": {}, "absent": {}, "rows": [*rows]}


def words(drawing: Drawing) -> list[str]:
    return [
        part.text or ""
        for part in ElementTree.fromstring(drawing.svg(alone=True)).iter(f"{SVG}text")
    ]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_the_page_of_every_committed_result_needs_nothing_from_elsewhere(path: Path) -> None:
    told = page(load(path), [path.name])
    assert not re.search(r"<script|<link|<img|src=|url\(|@import|https?://", told)
    assert re.findall(r'href="(.)', told) == ["#"] * told.count("href=")
    ids = re.findall(r' id="([^"]+)"', told)
    assert len(ids) == len(set(ids))
    for names in re.findall(r'aria-labelledby="([^"]+)"', told):
        assert set(names.split()) <= set(ids)
    assert told.count("<svg") == told.count('role="img"') >= len(load(path)["rows"])
    assert "prefers-color-scheme:dark" in told


def test_the_page_tells_floor_reach_and_measured_of_every_target_and_how_all_was_configured() -> (
    None
):
    whole = load(RESULTS[0])
    told = page(whole, ["x.json"])
    body = told[told.index("Targets: floor") : told.index("Machine, versions")]
    assert body.count("<tr>") - 1 == sum(len(one["targets"]) for one in whole["rows"])
    for settings in whole["engines"].values():
        assert settings in told
    for part in ("ext4", "over written bytes, us", *whole["machine"]["versions"].values()):
        assert part in told


class Balance(HTMLParser):
    """Counts what is open; elements of pictures may close themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        assert tag in {"rect", "circle", "line", "polyline"}, f"<{tag}/> is no HTML"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("told", [page(load(RESULTS[0]), ["x"]), page(merged([result()]), [])])
def test_every_element_of_a_page_is_closed(told: str) -> None:
    balance = Balance()
    balance.feed(told)
    assert balance.open == []


def test_words_of_a_result_cannot_become_elements() -> None:
    wild = {**row(per_s=1), "work": "put <script> & more"}
    wild["series"][0]["engine"] = "<b>"
    told = page(result(wild), ["<i>.json"])
    assert not re.search(r"<script|<b>|<i>", told)
    for drawn in pictures(wild):
        assert ElementTree.fromstring(drawn.svg(alone=True)).findtext(f"{SVG}title") == drawn.title


def test_parts_of_a_plan_are_told_flat() -> None:
    plan = {"rounds": 5, "ycsb": {"records": 100_000, "threads": [1, 16], "rate": None}}
    assert flat(plan) == {
        "rounds": 5,
        "ycsb.records": 100_000,
        "ycsb.threads": [1, 16],
        "ycsb.rate": None,
    }
    assert "threads 1 16" in page({**result(), "plan": plan}, [])


def test_levels_of_durability_never_share_an_axis() -> None:
    one = row(per_s=1, read_p50_us=5, read_p99_us=50)["series"][0]
    series = [
        {**one, "engine": engine, "variant": f"{level}, {clients}"}
        for level in ("synced", "none")
        for engine, clients in (
            ("shardkv", "16 threads"),
            ("plyvel", "16 threads"),
            ("shardkv", "64 tasks"),
        )
    ]
    drawn = pictures({**row(), "row": "ycsb-A", "series": series})
    assert [each.title.removeprefix("ycsb-A: ") for each in drawn] == [
        "ingest, synced",
        "ingest, none",
        "ingest, synced, latency of read",
        "ingest, none, latency of read",
    ]
    assert {"shardkv 16 threads", "plyvel 16 threads", "shardkv 64 tasks"} <= set(words(drawn[0]))


def test_the_command_writes_a_page_and_pictures_that_stand_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(RESULTS[0]), "--output", str(tmp_path / "new" / "report")]) == 0
    assert "index.html" in capsys.readouterr().out
    drawn = sorted((tmp_path / "new" / "report").glob("*.svg"))
    assert len(drawn) > 10
    for path in drawn:
        root = ElementTree.parse(path).getroot()
        assert root.tag == f"{SVG}svg"
        assert root.findtext(f"{SVG}title")
        assert root.findtext(f"{SVG}desc")


def test_the_table_for_documents_has_all_fifteen_rows_measured_or_not() -> None:
    lines = markdown.targets(load(RESULTS[0])).splitlines()[2:]
    rows = list(dict.fromkeys(line.split(" | ")[0].strip("| ") for line in lines))
    assert rows == [str(number) for number in range(1, 16)]
    nothing = markdown.targets(result()).splitlines()[2:]
    assert len(nothing) == len(lines)
    assert all(line.endswith("| - | - not measured |") for line in nothing)


@pytest.mark.parametrize(
    ("text", "told"), [(None, "cannot be read"), ("{", "is no JSON"), ('{"rows": []}', "machine")]
)
def test_a_file_that_is_no_result_is_told(
    text: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    assert main(["report", str(path)]) == 2
    assert re.search(rf"result\.json .*{told}", capsys.readouterr().err)


def test_several_results_make_one_page_and_the_first_that_has_a_row_counts() -> None:
    first, second = result(row(per_s=1)), result(row(per_s=2), {**row(per_s=3), "row": "7"})
    found = merged([first, second])["rows"]
    assert [(one["row"], one["series"][0]["metrics"]["per_s"]["median"]) for one in found] == [
        ("6", 1),
        ("7", 3),
    ]


def test_a_row_that_was_skipped_says_why_and_draws_nothing() -> None:
    skipped = {**row(), "series": [], "skipped": "no disk & <no> money"}
    assert pictures(skipped) == []
    assert "Skipped: no disk &amp; &lt;no&gt; money" in page(result(skipped), [])


def test_a_noisy_machine_is_told_before_any_figure() -> None:
    noisy = {**result(row(per_s=1)), "noise": {"reasons": ["the load was 9"]}}
    told = page(merged([result(), noisy]), [])
    assert told.index("noisy") < told.index("the load was 9") < told.index("Targets: floor")
    assert "noisy" not in page(result(row(per_s=1)), [])


def test_rates_and_latencies_over_time_show_where_flushes_ran() -> None:
    flushed = curve("flush_s", [0, 0.5, 0.5, 2.0, 2.0])  # one ended at 1 s, another at 3 s
    rates, tails = curve("per_s", [5, 6, 7, 8, 9]), curve("p99_us", [1e2, 1e3, 0, 1e3, 1e2])
    drawn = pictures(row(rates, tails, flushed, per_s=7))
    assert [one.title for one in drawn[1:]] == [
        "Row 6: ingest, writes per second over time",
        "Row 6: ingest, p99 over time",
    ]
    for one in drawn[1:]:
        tree = ElementTree.fromstring(one.svg(alone=True))
        boxes = [box for box in tree.iter(f"{SVG}rect") if box.get("class") == "shade"]
        widths = [float(box.get("width", 0)) for box in boxes]
        assert widths[1] == pytest.approx(3 * widths[0], rel=0.01)
        assert "2 spans of flushing" in one.about
    assert "between 100 and 1,000" in drawn[2].about  # nothing ended in the third second


def test_what_a_row_varies_is_drawn_as_lines_and_not_as_a_wall_of_bars() -> None:
    varied = row(curve("per_s", [0, 10, 20], "threads"), per_s=7, p50_us=1, p99_us=2)
    (drawn,) = pictures(varied)
    assert {"threads, log", "per second"} <= set(words(drawn))


def test_engines_share_a_picture_for_each_variant_and_one_engine_has_its_variants_in_one() -> None:
    one = row(curve("per_s", [1, 2]), per_s=1)["series"][0]
    alone = {**row(), "series": [{**one, "variant": "idle"}, {**one, "variant": "flushing"}]}
    assert [drawn.title for drawn in pictures(alone)][1:] == [
        "Row 6: ingest, writes per second over time"
    ]
    both = {
        **alone,
        "series": [*alone["series"], {**one, "engine": "rocksdict", "variant": "idle"}],
    }
    assert [drawn.title for drawn in pictures(both)][-2:] == [
        "Row 6: ingest, idle, writes per second over time",
        "Row 6: ingest, flushing, writes per second over time",
    ]


def test_write_amplification_and_ring_balance_are_drawn() -> None:
    drawn = pictures(
        row(
            curve("write_amplification", [9, 5, 3], "budget_share"),
            curve("shard_records", [90, 100, 110], "shard"),
            amplification=5,
        )
    )
    assert [one.title.rpartition(", ")[2] for one in drawn] == [
        "Row 6: ingest",
        "write amplification",
        "ring balance",
    ]
    assert "fullest holds 1.100" in drawn[2].about


def test_percentiles_stand_on_a_log_axis_in_their_order() -> None:
    (_, latency) = pictures(row(per_s=1, p99_us=800, p50_us=100, p999_us=90_000))
    assert "p50 100 us, p99 800 us, p99.9 90k us" in latency.about
    assert {"p50", "p99", "p99.9"} <= set(words(latency))


def test_an_engine_has_one_colour_and_both_schemes_have_all_of_them() -> None:
    assert (
        len({hue(name) for name in ("shardkv", "plyvel", "rocksdict", "py-lmdb", "sqlite3")}) == 5
    )
    assert hue("something new") == hue("something new") != hue("shardkv")
    names = [re.findall(r"--([\w-]+):", colours(scheme)) for scheme in ("light", "dark")]
    assert names[0] == names[1]


def test_bars_begin_at_zero_and_whiskers_show_the_range() -> None:
    drawn = charts.bars("a title", "/s", [charts.Bar("x", "shardkv", 50, 40, 100)])
    tree = ElementTree.fromstring(drawn.svg(alone=True))
    boxes = [box for box in tree.iter(f"{SVG}rect") if "fill-0" in box.get("class", "")]
    whiskers = [line for line in tree.iter(f"{SVG}line") if line.get("class") == "whisker"]
    assert [float(box.get("x", 0)) for box in boxes] == [charts.LABELS]
    left, right = float(whiskers[0].get("x1", 0)), float(whiskers[0].get("x2", 0))
    width = float(boxes[0].get("width", 0))
    assert left - charts.LABELS == pytest.approx(0.8 * width, abs=0.1)
    assert right - charts.LABELS == pytest.approx(2 * width, abs=0.2)


def test_axes_have_round_ticks() -> None:
    assert [value for value, _ in linear([37], 0, 1).ticks()] == [0, 10, 20, 30, 40]
    assert [value for value, _ in logarithmic([150, 900], 0, 1).ticks()] == [100, 200, 500, 1000]
    assert [value for value, _ in logarithmic([3, 5e5], 0, 1).ticks()] == [10, 100, 1e3, 1e4, 1e5]
    assert linear([], 0, 1).high == 1
    assert logarithmic([100, 10_000], 0, 10).at(1000) == pytest.approx(5)
    assert linear([10], 0, 10).at(99) == 10
    assert round_step(0.3) == pytest.approx(0.5)


def test_the_queueing_view_sets_measured_beside_predicted() -> None:
    stage = row(
        rate_per_s=4000,
        wait_us=500,
        in_system=2.1,
        service_us=200,
        service_us2=50_000,
        group=1.6,
        busy_share=0.7,
    )
    (found,) = queues.stages(stage)
    assert found.servers == 2
    assert found.little_ratio() == pytest.approx(2.1 / 2.0)
    single, several, _, _ = found.predictions()
    assert single == pytest.approx(1e-3)
    assert several == pytest.approx(200e-6 / 0.84)  # two servers: S / (1 - rho**2)
    assert "Little" in page(result(stage), [])
    assert queues.view(row(per_s=1)) == ""


def test_a_queue_that_grows_without_end_has_no_wait() -> None:
    stage = row(
        rate_per_s=40_000,
        wait_us=500,
        in_system=20,
        service_us=200,
        service_us2=50_000,
        group=9,
        busy_share=1,
    )
    assert queues.view(stage).count("<td>-</td>") == 2
    assert json.dumps(result(stage))
