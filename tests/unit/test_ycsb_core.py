"""YCSB's core: keys, distributions and streams against its constants, and against a port of its Java."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ycsb import distributions
from bench.ycsb.keys import fnv64, keys
from bench.ycsb.plan import NAMES
from bench.ycsb.records import RECORD_BYTES, CheckedValues, Damaged, RandomValues, Values, check
from bench.ycsb.window import WINDOW, InsertWindow
from bench.ycsb.workloads import WORKLOADS, Kind, Size, streams

HASHES = {
    0: 6284781860667377211,
    1: 8517097267634966620,
    2: 1820151046732198393,
    10: 2408371864701034737,
    999: 2071219101098386137,
}
DRAWS = 1_000_000
GOLDEN_TARGETS = [779, 819, 846, 476, 378, 668]
GOLDEN_KINDS = [1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]


def draws(count: int = DRAWS) -> distributions.Floats:
    return np.random.default_rng(7).random(count)


def test_keys_are_those_of_ycsb() -> None:
    assert fnv64(np.array(list(HASHES))).tolist() == list(HASHES.values())
    written = keys(1000)
    for number, hashed in HASHES.items():
        assert written[number] == b"user%d" % hashed
    assert sum(len(key) == 23 for key in keys(20_000)) / 20_000 == pytest.approx(0.89, abs=0.01)


def test_the_fixed_constants_are_the_sums_that_they_stand_for() -> None:
    begun, items, power = 1_000_000, distributions.SCRAMBLED_ITEMS, distributions.THETA
    # Euler-Maclaurin from the millionth term on.
    rest = (items ** (1 - power) - begun ** (1 - power)) / (1 - power)
    rest += (items**-power - begun**-power) / 2
    total = distributions.zeta(begun) + rest
    assert total == pytest.approx(distributions.SCRAMBLED_ZETA, rel=1e-9)
    found = distributions.eta(items, distributions.SCRAMBLED_ZETA)
    assert found == pytest.approx(0.212200033809674, rel=1e-12)


class JavaZipfian:
    """ZipfianGenerator.nextLong of YCSB, with its zeta that grows and its first item count in eta."""

    def __init__(self, items: int) -> None:
        self.items, self.counted = items, items
        self.zeta = sum(i**-0.99 for i in range(1, items + 1))

    def next(self, items: int, draw: float) -> int:
        while self.counted < items:
            self.counted += 1
            self.zeta += self.counted**-0.99
        zeta_2 = 1 + 0.5**0.99
        eta = (1 - (2 / self.items) ** (1 - 0.99)) / (1 - zeta_2 / self.zeta)
        if draw * self.zeta < 1:
            return 0
        if draw * self.zeta < zeta_2:
            return 1
        return int(items * (eta * draw - eta + 1) ** (1 / (1 - 0.99)))


def test_latest_follows_the_java_generator_while_records_are_inserted() -> None:
    first, count = 500, 2000
    items = first + np.arange(count) // 20
    java = JavaZipfian(first)
    some = draws(count)
    expected = [java.next(int(n), float(u)) for n, u in zip(items, some, strict=True)]
    assert distributions.latest(some, first, items).tolist() == expected


@pytest.mark.parametrize("records", [1000, 1_000_000])
def test_the_hottest_keys_are_as_hot_at_every_size(records: int) -> None:
    counts = np.bincount(distributions.scrambled(draws(), records), minlength=records)
    shares = np.sort(counts)[::-1] / DRAWS
    assert shares[0] == pytest.approx(0.038, abs=0.002)  # a plain zipfian of 1,000: 0.129
    assert shares[:10].sum() == pytest.approx(0.12, abs=0.015)
    if records == 1_000_000:
        assert shares[: records // 100].sum() == pytest.approx(0.41, abs=0.02)
        assert shares[: records // 5].sum() == pytest.approx(0.77, abs=0.02)


def test_the_hot_keys_are_anywhere_and_those_of_the_latest_at_the_end() -> None:
    scrambled = np.bincount(distributions.scrambled(draws(10_000), 1000), minlength=1000)
    assert int(scrambled.argmax()) == HASHES[0] % 1000
    latest = distributions.latest(draws(10_000), 1000, np.full(10_000, 1000))
    assert np.bincount(latest).argmax() == 0
    assert latest.max() < 1000


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_has_its_shares_and_reads_what_is_there(name: str) -> None:
    workload, size = WORKLOADS[name], Size(records=1000, operations=40_000, clients=4)
    found = streams(workload, size)
    assert [len(one.kinds) for one in found] == [10_000] * 4
    kinds = np.concatenate([one.kinds for one in found])
    shares = np.bincount(kinds, minlength=len(Kind)) / len(kinds)
    assert shares.tolist() == pytest.approx(workload.shares, abs=0.01)
    assert sum(workload.shares) == 1
    targets = np.concatenate([one.targets for one in found])
    assert targets.min() >= 0
    # E may name records that are yet to be inserted: twice as many as are expected.
    most = 1000 + 2 * 2000 if name == "E" else 1000 - 1
    assert targets.max() <= most
    assert all(one.spares[-1] == 0 for one in found if len(one.spares))
    if name == "E":
        lengths = np.concatenate([one.extras[one.kinds == Kind.SCAN] for one in found])
        assert (lengths.min(), lengths.max()) == (1, 100)
        assert lengths.mean() == pytest.approx(50.5, abs=1)


def test_streams_are_the_same_in_every_run_and_differ_between_clients() -> None:
    size = Size(records=1000, operations=100, clients=2)
    first, second = streams(WORKLOADS["A"], size)
    again, _ = streams(WORKLOADS["A"], size)
    assert (first.targets == again.targets).all()
    assert (first.kinds == again.kinds).all()
    assert (first.targets != second.targets).any()
    assert first.targets[:6].tolist() == GOLDEN_TARGETS
    assert first.kinds[:12].tolist() == GOLDEN_KINDS


@pytest.mark.parametrize("kind", [RandomValues, CheckedValues])
def test_an_update_replaces_one_field_and_leaves_the_others(kind: type[Values]) -> None:
    values = kind()
    key = keys(1)[0]
    old = values.inserted(key, 5)
    assert len(old) == RECORD_BYTES
    touched = set()
    for number in range(100):
        new = values.changed(key, old, number)
        assert len(new) == RECORD_BYTES
        differ = [
            at
            for at in range(10)
            if new[at * 100 : at * 100 + 100] != old[at * 100 : at * 100 + 100]
        ]
        assert len(differ) == 1 or number == 5
        touched |= set(differ)
    assert touched == set(range(10))
    loaded = [row for batch in values.batches(keys(1500)) for row in batch]
    assert [key for key, _ in loaded] == keys(1500)
    assert {len(record) for _, record in loaded} == {RECORD_BYTES}


def test_a_checked_record_is_found_out_when_a_byte_a_field_or_the_key_is_wrong() -> None:
    values, (key, other) = CheckedValues(), keys(2)
    record = values.changed(key, values.inserted(key, 0), 12_345)
    check(key, record)
    torn = record[:150] + values.changed(key, record, 99_991)[150:200] + record[200:]
    changed_places = record[100:200] + record[:100] + record[200:]
    flipped = record[:555] + bytes([record[555] ^ 1]) + record[556:]
    others = values.inserted(other, 0)
    lengths = (record[:-1], record + b"x")
    for found in (None, *lengths, flipped, others, changed_places, torn, bytes(RECORD_BYTES)):
        with pytest.raises(Damaged):
            check(key, found)


def test_an_insert_is_readable_once_it_and_all_before_it_are_acknowledged() -> None:
    window = InsertWindow(10)
    assert [window.take() for _ in range(4)] == [10, 11, 12, 13]
    window.acknowledge(11)
    window.acknowledge(12)
    assert window.last == 9
    window.acknowledge(10)
    assert window.last == 12
    window.acknowledge(13)
    assert window.last == 13


def test_a_window_does_not_grow_without_bound_behind_a_lost_insert() -> None:
    window = InsertWindow(0)
    for number in (1, WINDOW - 1):
        window.acknowledge(number)
    with pytest.raises(RuntimeError, match="one that is not acknowledged"):
        window.acknowledge(WINDOW)
    assert window.last == -1
