"""YCSB's clients: what they do, what they note, and what the command makes of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from array import array
from collections import namedtuple
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as bench
from bench.engines import Durability, Engine, LoopCalls, Pairs, Session, Setup
from bench.engines.sqlite import SqliteEngine
from bench.ycsb import tasks, threads
from bench.ycsb.clients import Job, Log, Outcome, Pace, Table, check_all
from bench.ycsb.keys import keys
from bench.ycsb.latency import metrics
from bench.ycsb.plan import NAMES
from bench.ycsb.records import CheckedValues, Damaged
from bench.ycsb.window import InsertWindow
from bench.ycsb.workloads import WORKLOADS, Kind, Size, Stream, streams

pytestmark = pytest.mark.unsanitized  # whole runs, of other engines too

Scan = Callable[[bytes, int], Pairs]
RECORDS = 200
LONG = 60.0
UNTIL_DONE = Pace(warm=0, seconds=LONG)


class DictEngine(Engine):
    """A dict; what it loses or spoils is for the test to say."""

    name = "dict"

    def __init__(self, values: CheckedValues) -> None:
        super().__init__(Path(), Setup(Durability.MEMORY))
        self.rows = dict(row for batch in values.batches(keys(RECORDS)) for row in batch)
        self.calls: list[str] = []

    def get(self, key: bytes) -> bytes | None:
        self.calls.append("get")
        return self.rows.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.calls.append("put")
        self.rows[key] = value

    def some(self, start: bytes, most: int) -> Pairs:
        self.calls.append("scan")
        return sorted(row for row in self.rows.items() if row[0] >= start)[:most]

    def session(self) -> Session:
        return Session(self.put, self.rows.update, self.get, scan=self.some)

    @asynccontextmanager
    async def on_loop(self) -> AsyncIterator[LoopCalls]:
        async def put(key: bytes, value: bytes) -> None:
            self.put(key, value)

        async def get(key: bytes) -> bytes | None:
            return self.get(key)

        async def some(start: bytes, most: int) -> Pairs:
            return self.some(start, most)

        yield LoopCalls(put, get, some)

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def job_of(name: str, operations: int, clients: int) -> Job:
    made = streams(WORKLOADS[name], Size(RECORDS, operations, clients))
    table = Table(keys(RECORDS + operations), CheckedValues(), InsertWindow(RECORDS))
    return Job(WORKLOADS[name], made, table)


def run(
    kind: str, engine: Engine, job: Job, pace: Pace = UNTIL_DONE, check: bool = True
) -> Outcome:
    if kind == "threads":
        return threads.run(engine, job, pace, check=check)
    return asyncio.run(tasks.run(engine, job, pace, check=check))


both = pytest.mark.parametrize("kind", ["threads", "tasks"])


@both
@pytest.mark.parametrize("name", NAMES)
def test_a_client_does_its_stream_and_every_operation_is_counted(kind: str, name: str) -> None:
    job, engine = job_of(name, 300, 1), DictEngine(CheckedValues())
    outcome = run(kind, engine, job)
    (log,) = outcome.logs
    kinds = [int((job.streams[0].kinds == kind).sum()) for kind in Kind]
    assert len(log.begins) == len(log.ends) == 300
    assert log.missed == []
    assert len(engine.rows) == RECORDS + kinds[Kind.INSERT] == job.table.window.last + 1
    read, update, insert, scan, rmw = kinds
    # An update is a get and a put; a read-modify-write is a get before that.
    assert engine.calls.count("get") == read + update + 2 * rmw
    assert engine.calls.count("put") == update + insert + rmw
    assert engine.calls.count("scan") == scan
    found = metrics(outcome, job.workload.kinds)
    # A read-modify-write is told as a read and as an update, too.
    told = dict(zip(Kind, (read + rmw, update + rmw, insert, scan, rmw), strict=True))
    assert found["count"] == 300
    for one in job.workload.kinds:
        assert found[f"{one.name.lower()}_count"] == told[one]
    assert found.get("update_count", 0) == update + rmw
    assert check_all(engine.session(), job.table) == len(engine.rows)


@both
def test_many_clients_stop_together_and_what_they_read_is_whole(kind: str) -> None:
    job, engine = job_of("D", 4000, 4), DictEngine(CheckedValues())
    outcome = run(kind, engine, job)
    assert max(len(log.ends) for log in outcome.logs) == 1000
    assert all(log.missed == [] for log in outcome.logs)
    assert check_all(engine.session(), job.table) >= RECORDS


@both
def test_a_lost_or_damaged_record_fails_the_run(kind: str) -> None:
    for name in ("C", "D", "E", "F"):
        engine = DictEngine(CheckedValues())
        for key in engine.rows:
            engine.rows[key] = bytes(1000)
        with pytest.raises(Damaged, match="holds"):
            run(kind, engine, job_of(name, 100, 2))
    engine = DictEngine(CheckedValues())
    engine.rows.clear()
    with pytest.raises(Damaged, match="is missing"):
        run(kind, engine, job_of("C", 100, 2))


MISSES = {"A": (Kind.READ, Kind.UPDATE), "D": (Kind.READ,), "E": (Kind.SCAN,), "F": (Kind.RMW,)}


@both
@pytest.mark.parametrize(("name", "of"), [(name, of) for name, all in MISSES.items() for of in all])
def test_a_key_that_is_not_found_is_noted_without_checks_too(
    kind: str, name: str, of: Kind
) -> None:
    job, engine = job_of(name, 2, 1), DictEngine(CheckedValues())
    engine.rows.clear()
    one = Stream(np.array([of], np.uint8), np.array([5]), np.array([1]), np.array([0]))
    job = Job(job.workload, [one], job.table)
    outcome = run(kind, engine, job, check=False)
    assert set(outcome.logs[0].missed) == {keys(RECORDS)[RECORDS - 1 - 5 if name == "D" else 5]}


def spoiled(some: Scan, spoil: Callable[[Pairs], Pairs]) -> Scan:
    return lambda start, most: spoil(some(start, most))


def test_the_rows_of_a_scan_are_checked() -> None:
    for spoil in (lambda rows: rows[::-1], lambda rows: rows * 2, lambda rows: rows[1:] + rows[:1]):
        engine = DictEngine(CheckedValues())
        engine.some = spoiled(engine.some, spoil)  # type: ignore[method-assign]
        with pytest.raises(Damaged, match="a scan"):
            run("threads", engine, job_of("E", 100, 1))


@both
def test_arrivals_at_a_rate_are_spread_over_the_clients(kind: str) -> None:
    job = job_of("C", 40, 2)
    pace = Pace(warm=0, seconds=LONG, rate=10_000.0)
    assert job.dues(0, pace)[:3] == [0, 200_000, 400_000]
    assert job.dues(1, pace)[:3] == [100_000, 300_000, 500_000]
    outcome = run(kind, DictEngine(CheckedValues()), job, pace)
    for log in outcome.logs:
        began = np.array(log.begins) - outcome.start
        assert (began >= np.array(log.dues[: len(began)])).all()
    assert max(len(log.ends) for log in outcome.logs) == 20


@both
def test_operations_that_are_done_while_warming_up_are_no_measurement(kind: str) -> None:
    with pytest.raises(ValueError, match="all operations were done in the"):
        run(kind, DictEngine(CheckedValues()), job_of("A", 10, 1), Pace(warm=LONG, seconds=LONG))


def test_latency_begins_when_an_operation_was_due_so_that_a_stall_is_seen_by_all_behind_it() -> (
    None
):
    log = Log(
        np.zeros(3, np.uint8),
        begins=array("q", [1_000_000, 1_100_000, 1_101_000]),
        ends=array("q", [1_100_000, 1_101_000, 1_102_000]),
        dues=[0, 10_000, 20_000],
    )
    found = metrics(Outcome([log], 1_000_000, 1_000_000, 2_000_000), [Kind.READ])
    assert (found["read_p50_us"], found["read_max_us"]) == (91, 100)
    assert (found["read_service_p50_us"], found["read_service_p99_us"]) == (1, 100)
    assert found["per_s"] == 3000


def test_what_ends_outside_of_the_span_does_not_count() -> None:
    kinds = np.array([Kind.RMW, Kind.READ, Kind.RMW, Kind.RMW, Kind.READ], np.uint8)
    log = Log(
        kinds,
        begins=array("q", [0, 20_000, 40_000, 70_000, 90_000]),
        ends=array("q", [10_000, 30_000, 60_000, 85_000]),  # the last one never ended
        middles=array("q", [5_000, 44_000, 79_000]),
    )
    found = metrics(Outcome([log], 0, 10_000, 80_000), [Kind.READ, Kind.RMW])
    assert [found[f"{name}_count"] for name in ("read", "update", "rmw")] == [2, 1, 1]
    assert (found["rmw_max_us"], found["update_max_us"]) == (20, 16)
    assert (found["read_p50_us"], found["read_max_us"]) == (4, 10)
    assert found["count"] == 2


def test_percentiles_are_times_that_occurred() -> None:
    ends = np.cumsum(np.arange(1, 1001)) * 1000
    begins = ends - np.arange(1, 1001) * 1000
    log = Log(np.zeros(1000, np.uint8), array("q", begins.tolist()), array("q", ends.tolist()))
    found = metrics(Outcome([log], 0, 0, int(ends[-1])), [Kind.READ])
    assert [found[f"read_{name}_us"] for name in ("p50", "p95", "p99", "p999", "max")] == [
        500, 950, 990, 999, 1000,
    ]  # fmt: skip
    assert found["read_mean_us"] == 500.5
    none = metrics(Outcome([log], 0, 10**12, 10**12 + 1), [Kind.READ])
    assert (none["per_s"], none["read_p99_us"]) == (0, 0)


def test_a_stream_keeps_off_records_that_are_not_there_yet() -> None:
    beyond = Stream(
        kinds=np.array([Kind.SCAN], np.uint8),
        targets=np.array([RECORDS + 5]),
        extras=np.array([3]),
        spares=np.array([RECORDS, 7]),
    )
    job, engine = job_of("E", 10, 1), DictEngine(CheckedValues())
    outcome = run("threads", engine, Job(job.workload, [beyond], job.table))
    assert outcome.logs[0].missed == []


WORDS = ["ycsb", "--quick", "--rounds", "1", "--records", "100", "--operations", "100000"]
TINY = [*WORDS, "--seconds", "0.05", "--warm-seconds", "0.02", "--threads", "2", "--tasks", "3"]


def test_the_command_writes_a_result_that_the_report_and_a_comparison_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "result.json"
    words = [*TINY, "--engines", "shardkv,dbm", "--durability", "group,none", "--integrity"]
    places = ["--directory", str(tmp_path / "scratch"), "--output", str(output)]
    assert bench.main([*words, "--workloads", "e,f", *places]) == 0
    rows = {row["row"]: row for row in json.loads(output.read_text())["rows"]}
    assert [*rows] == ["ycsb-E", "ycsb-F"]
    assert {(one["engine"], one["variant"]) for one in rows["ycsb-F"]["series"]} == {
        ("shardkv", "group, 2 threads"),
        ("shardkv", "group, 3 tasks"),
        ("shardkv", "none, 2 threads"),
        ("shardkv", "none, 3 tasks"),
        ("dbm", "none, 2 threads"),
    }
    left_out = rows["ycsb-E"]["settings"]["left_out"]
    assert left_out["dbm, none, 2 threads"] == "keeps no key order, so that it has no scans"
    assert left_out["dbm, group, 2 threads"] == "no durability level 'group'"
    for one in rows["ycsb-F"]["series"]:
        assert {"per_s", "p99_us", "rmw_p999_us", "update_p50_us"} <= one["metrics"].keys()
    assert list((tmp_path / "scratch").iterdir()) == []
    told = " ".join(capsys.readouterr().out.split())
    assert "not measured: dbm, group, 2 threads: no durability level 'group'" in told
    assert bench.main(["report", str(output), "--output", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "workloads E F, records 100, operations 100k" in page
    assert bench.main(["compare", str(output), str(output)]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workloads", "A,G"], "no workload ['G']; there are ['A', 'B', 'C', 'F', 'D', 'E']"),
        (["--engines", "shardkv,oracle"], "no engine ['oracle']; there are ['shardkv', 'plyvel'"),
        (
            ["--durability", "maybe"],
            "no durability ['maybe']; there are ['synced', 'group', 'none']",
        ),
        (["--records", "99"], "'99' is no number of at least 100"),
        (["--rate", "-1"], "'-1' is no positive number"),
        (["--seconds", "nan"], "'nan' is no positive number"),
        (["--threads", "4,x"], "'x' is no number of at least 1"),
        (["--threads", "0", "--tasks", "0"], "there are no clients"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        bench.main(["ycsb", *words])
    assert end.value.code == 2
    assert told in capsys.readouterr().err


def test_too_little_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    output = tmp_path / "result.json"
    places = ["--directory", str(tmp_path), "--output", str(output)]
    bench.main([*TINY, "--workloads", "A", *places])
    assert "row ycsb-A does not run: it needs 0." in capsys.readouterr().out
    assert "GB free" in json.loads(output.read_text())["rows"][0]["skipped"]


def test_a_key_that_an_engine_lost_ends_the_run_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SqliteEngine, "session", lambda self: Session(
        lambda key, value: None, lambda pairs: None, lambda key: None
    ))  # fmt: skip
    words = [*TINY, "--engines", "sqlite3", "--durability", "none", "--directory", str(tmp_path)]
    assert bench.main([*words, "--workloads", "C", "--output", str(tmp_path / "none.json")]) == 1
    assert "without a result: sqlite3 did not find" in capsys.readouterr().err
    assert not (tmp_path / "none.json").exists()
