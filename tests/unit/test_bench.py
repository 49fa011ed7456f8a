"""The benchmark's own judgement: ratios, best peers, what is not here, counts that are acknowledged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from house.tree import ROOT

from bench import counters, figures, installed, report
from bench.__main__ import main
from bench.counters import COUNTERS, KEY, Counter, counter_class
from bench.loops import Span, Timed, write_on_loop, write_together
from bench.noise import Noise
from bench.plans import QUICK
from bench.result import Curve, RowResult, Series, Unavailable
from bench.suites import ROWS, SUITES, rows_of
from bench.targets import BEST_PEER, TARGETS, Target, judge

SHORT = Span(warm=0.0, seconds=0.02)
RESULTS = sorted((ROOT / "bench" / "results").glob("*.json"))


def series(engine: str, variant: str, *rates: float) -> Series:
    return Series(engine, variant, {"per_s": rates})


def test_the_best_peer_is_the_fastest_of_all_engines_and_variants() -> None:
    row = RowResult(
        "3",
        "",
        (
            series("shardkv", "tasks", 100, 200, 300),
            series("plyvel", "1 thread", 1, 1, 1000),
            series("plyvel", "16 threads", 50, 50, 50),
            series("sqlite3", "16 threads", 40, 40, 40),
        ),
    )
    (judged,) = judge(row, [Target("3", "per_s", BEST_PEER, variant="tasks", floor=4.0)])
    assert judged.measured is not None
    assert (judged.measured.low, judged.measured.median, judged.measured.high) == (2, 4, 6)
    assert judged.verdict == "pass"


def test_without_peers_nothing_is_judged() -> None:
    row = RowResult("3", "", (series("shardkv", "tasks", 100),))
    (judged,) = judge(row, [Target("3", "per_s", BEST_PEER, variant="tasks", floor=4.0)])
    assert judged.verdict == "not measured"


def test_a_round_in_which_a_peer_got_nothing_done_has_no_ratio() -> None:
    ours, target = series("shardkv", "", 100, 200), Target("1", "per_s", "redis", floor=1.0)
    for theirs, verdict in (
        (series("redis", "", 0, 50), "pass"),
        (series("redis", "", 0, 0), "not measured"),
    ):
        assert [one.verdict for one in judge(RowResult("1", "", (ours, theirs)), [target])] == [
            verdict
        ]


def test_a_variant_is_judged_by_another_variant_of_the_same_engine() -> None:
    row = RowResult("a", "", (series("shardkv", "put", 100), series("shardkv", "cas", 40)))
    target = Target("a", "per_s", "shardkv", None, "cas", "put", floor=0.5)
    assert [one.verdict for one in judge(row, [target])] == ["fail"]


def test_what_a_turn_measured_along_the_way_goes_into_the_result_file() -> None:
    curve = Curve("per_s", "s", (0.0, 1.0), (5.0, 6.0))
    row = RowResult("6", "", (Series("shardkv", "", {"per_s": (5.5,)}, (curve,)),))
    text = report.as_json([row], {}, QUICK, installed.Installed(), Noise())
    told = json.loads(text)
    (one,) = told["rows"][0]["series"]
    assert '"x": [ 0.0, 1.0 ],' in text
    assert one["curves"] == [{"name": "per_s", "x_name": "s", "x": [0, 1], "y": [5, 6]}]
    assert one["metrics"] == {"per_s": {"median": 5.5, "low": 5.5, "high": 5.5}}


def test_every_target_belongs_to_a_row() -> None:
    assert {target.row for target in TARGETS} <= ROWS.keys()


def test_every_row_belongs_to_one_suite_and_all_names_every_suite() -> None:
    assert sum(len(suite.rows) for suite in SUITES.values()) == len(ROWS)
    assert rows_of(["all"]) == [*ROWS]
    assert rows_of(["memory", "micro", "memory"])[-2:] == ["atomic", "13"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mikro"], "no suite 'mikro'; suites are micro, "),
        (["--rows", "99"], "no row ['99']; there are ['1', "),
        (["--engines", "mongo"], "no engine ['mongo']; there are ['shardkv', "),
        (["micro", "--rows", "1"], "name suites or --rows, not both"),
    ],
)
def test_an_unknown_word_is_answered_with_the_known_ones(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert told in capsys.readouterr().err


def test_an_engine_whose_program_is_missing_is_told_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters.shutil, "which", lambda _: None)
    monkeypatch.setattr(counters.Counter, "program", "redis-server")
    with pytest.raises(Unavailable, match="apt-get install redis-server"):
        counter_class("shardkv")


def test_an_engine_that_is_not_installed_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(COUNTERS, "redis", ("no_such_package", "Counter"))
    found = installed.look(["shardkv", "redis"])
    assert "no_such_package" in found.absent["redis"]
    assert list(found.settings) == ["shardkv"]


def opened(name: str, path: Path) -> Counter:
    pytest.importorskip({"sqlite3": "sqlite3"}.get(name, name))
    try:
        return counter_class(name)(path)
    except Unavailable as reason:
        pytest.skip(str(reason))


async def on_loop(counter: Counter) -> Timed:
    async with counter.on_loop() as increment:
        return await write_on_loop(increment, [[(KEY, 1)]] * 20, SHORT)


@pytest.mark.parametrize("name", COUNTERS)
def test_what_threads_and_tasks_counted_is_what_was_acknowledged(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as counter:
        by_threads = write_together(counter.caller, [[(KEY, 1)]] * 3, SHORT).writes
        assert by_threads >= 3
        assert counter.count() == by_threads
        by_tasks = asyncio.run(on_loop(counter)).writes
        assert by_tasks >= 20
        assert counter.count() == by_threads + by_tasks


def test_the_figures_of_the_committed_result_can_be_told() -> None:
    told = figures.figures(json.loads(RESULTS[0].read_text()))
    assert "| put, 1 thread |" in told
    assert "floors are met" in told


def test_a_readme_with_another_figure_is_brought_up_to_date() -> None:
    mark = f"<!-- figures: {RESULTS[0].relative_to(ROOT)} -->\n"
    right = figures.updated(f"before\n{mark}<!-- end of figures -->\nafter\n")
    assert right.startswith(
        f"before\n{mark}![shardkv beside its peers, per second](docs/figures.svg)\n\n| |"
    )
    assert right.endswith("<!-- end of figures -->\nafter\n")
    assert figures.updated(right.replace("floors", "ceilings")) == right
    with pytest.raises(ValueError, match="no block"):
        figures.updated("no figures here")
