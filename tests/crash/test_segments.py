"""Files missing, foreign, cut, swapped, doubled or old: the content is right or opening refuses."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .children import Children
from .damage import Damaged, finished_store
from .plan import Plan

Damage = Callable[[Path], None]


def segments(store: Path) -> list[Path]:
    """The log's files that hold anything, oldest first."""
    return [path for path in sorted((store / "log").glob("*.log")) if any(path.read_bytes())]


@pytest.fixture
def rolled(openers: Children, scratch: Path, rng: random.Random) -> Damaged:
    """A store with several segments of records that no shard has yet."""
    plan = Plan(rng.getrandbits(32), 20, flavour="rolling")
    template = finished_store(openers, scratch / "rolled", plan, flush=False)
    assert len(segments(scratch / "rolled" / "store")) > 2
    return Damaged(openers, template, plan, scratch)


@pytest.fixture
def flushed(openers: Children, scratch: Path, rng: random.Random) -> Damaged:
    """A store whose records are all in its shards."""
    plan = Plan(rng.getrandbits(32), 40)
    return Damaged(
        openers, finished_store(openers, scratch / "flushed", plan, flush=True), plan, scratch
    )


def other_store(openers: Children, scratch: Path, plan: Plan, flush: bool) -> Path:
    """A store of another identity with the same history."""
    finished_store(openers, scratch / "other", plan, flush=flush)
    return scratch / "other" / "store"


def remove(n: int) -> Damage:
    return lambda store: segments(store)[n].unlink()


def test_a_missing_segment_is_refused(rolled: Damaged, scratch: Path) -> None:
    count = len(segments(scratch / "rolled" / "store"))
    found = [rolled.outcome(f"without segment {n}", remove(n), ("log",)) for n in range(count)]
    assert found[0] == "refused"


@pytest.mark.parametrize("size", [0, 1, 80, 511, 512, 600, 4096, 1_000_000])
def test_a_truncated_segment_is_refused(rolled: Damaged, size: int) -> None:
    def truncate(n: int) -> Damage:
        def damage(store: Path) -> None:
            with segments(store)[n].open("r+b") as file:
                file.truncate(size)

        return damage

    for n in (0, 1, -1):
        rolled.outcome(f"segment {n} truncated to {size}", truncate(n), ("log",))
    assert rolled.outcome(f"first truncated to {size}", truncate(0), ("log",)) == "refused"


def swap(a: Path, b: Path) -> None:
    spare = a.with_suffix(".swap")
    a.rename(spare)
    b.rename(a)
    spare.rename(b)


def test_swapped_and_doubled_segments_never_give_another_content(rolled: Damaged) -> None:
    def double(store: Path) -> None:
        last = int(segments(store)[-1].stem)
        shutil.copy(segments(store)[0], store / "log" / f"{last + 7:08}.log")

    def overwrite(store: Path) -> None:
        shutil.copy(segments(store)[0], segments(store)[1])

    rolled.outcome("two segments swapped", lambda store: swap(*segments(store)[:2]), ("log",))
    rolled.outcome("a segment under a second name", double, ("log",))
    assert rolled.outcome("a segment in place of the next", overwrite, ("log",)) == "refused"


def test_segments_of_another_store_are_never_read(
    rolled: Damaged, openers: Children, scratch: Path
) -> None:
    other = other_store(openers, scratch, rolled.plan, flush=False)

    def replace(store: Path) -> None:
        shutil.copy(segments(other)[0], segments(store)[0])

    def add(store: Path) -> None:
        shutil.copy(segments(other)[-1], store / "log" / "00000099.log")

    assert rolled.outcome("a foreign segment in place of ours", replace, ("log",)) == "refused"
    rolled.outcome("a foreign segment beside ours", add, ("log",))


def test_without_its_side_file_a_log_is_read_whole_or_refused(
    rolled: Damaged, openers: Children, scratch: Path
) -> None:
    other = other_store(openers, scratch, rolled.plan, flush=False)

    def remove(store: Path) -> None:
        (store / "log" / "MARK").unlink()

    def empty(store: Path) -> None:
        (store / "log" / "MARK").write_bytes(b"")

    def foreign(store: Path) -> None:
        shutil.copy(other / "log" / "MARK", store / "log" / "MARK")

    for damage in (remove, empty, foreign):
        rolled.outcome(f"MARK {damage.__name__}", damage, ("log",))


def test_a_store_without_its_manifest_is_not_taken_for_a_new_one(
    rolled: Damaged, openers: Children, scratch: Path
) -> None:
    other = other_store(openers, scratch, rolled.plan, flush=False)

    def remove_both(store: Path) -> None:
        for path in store.glob("MANIFEST*"):
            path.unlink()

    def foreign(store: Path) -> None:
        for path in store.glob("MANIFEST*"):
            shutil.copy(other / path.name, path)

    def empty(store: Path) -> None:
        (store / "MANIFEST").write_bytes(b"")

    names = ("MANIFEST", "log", "shards", "store")
    rolled.outcome("without MANIFEST", lambda store: (store / "MANIFEST").unlink(), names)
    rolled.outcome("an empty MANIFEST", empty, names)
    rolled.outcome("a foreign MANIFEST", foreign, names)
    assert rolled.outcome("no MANIFEST at all", remove_both, names) == "refused"


def test_missing_foreign_and_swapped_shards_are_refused(
    flushed: Damaged, openers: Children, scratch: Path
) -> None:
    other = other_store(openers, scratch, flushed.plan, flush=True)

    def foreign(store: Path) -> None:
        shutil.copy(other / "shards" / "0000" / "data.mdb", store / "shards" / "0000" / "data.mdb")

    def empty(store: Path) -> None:
        (store / "shards" / "0001" / "data.mdb").write_bytes(b"")

    cases: dict[str, Damage] = {
        "without a shard's directory": lambda store: shutil.rmtree(store / "shards" / "0000"),
        "without a shard's data": lambda store: (store / "shards" / "0001" / "data.mdb").unlink(),
        "two shards swapped": lambda store: swap(
            store / "shards" / "0000", store / "shards" / "0001"
        ),
        "a shard of another store": foreign,
        "an empty shard": empty,
    }
    for label, damage in cases.items():
        assert flushed.outcome(label, damage, ("shards",)) == "refused", label


def test_a_shard_rolled_back_to_an_older_copy_is_refused(
    openers: Children, scratch: Path, rng: random.Random
) -> None:
    """The log that led from the old copy to the present was retired long ago."""
    seed = rng.getrandbits(32)
    plans = [Plan(seed, 10, flavour="writes"), Plan(seed, 40, flavour="writes", life=1)]
    finished_store(openers, scratch / "store", plans[0], flush=True)
    old = (scratch / "store" / "store" / "shards" / "0000" / "data.mdb").read_bytes()
    template = finished_store(openers, scratch / "store", plans[1], flush=True)
    damaged = Damaged(openers, template, plans[1], scratch)

    def roll_back(store: Path) -> None:
        (store / "shards" / "0000" / "data.mdb").write_bytes(old)

    assert damaged.outcome("a shard rolled back", roll_back, ("shards",)) == "refused"
