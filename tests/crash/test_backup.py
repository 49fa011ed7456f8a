"""A backup whose n-th file call fails, or that is killed there: a typed error and no copy, or the whole copy.

Never half of one that opens. The original goes on as if nothing had been.
"""

import errno
import itertools
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

import shardkv

from .children import ChildDiedError, Children, open_request
from .damage import Damaged, finished_store
from .plan import Plan
from .power import scaled
from .shim import Fault, settings
from .test_flips import flip, written_bits

Answer = dict[str, Any]
FAULTS = {
    "EIO once": lambda at: Fault("fail", at, error=errno.EIO),
    "full from then on": lambda at: Fault(
        "fail", at, sticky=True, error=errno.ENOSPC, classes="write,name,open"
    ),
    "short write": lambda at: Fault("short", at, classes="write"),
    "killed before": lambda at: Fault("kill-before", at),
    "killed in the middle": lambda at: Fault("kill-middle", at, classes="write"),
}


class Original:
    """A store of which copies are made under faults, in directories of their own."""

    def __init__(self, openers: Children, where: Path, plan: Plan) -> None:
        self.openers, self.where, self.plan = openers, where, plan
        finished_store(openers, where, plan, flush=False)
        self.store = where / "store"
        self.rows = self.rows_at(self.store)

    def rows_at(self, path: Path) -> Any:
        answer = self.openers.ask(self.request("read", path))
        assert "rows" in answer, answer
        return answer["rows"]

    def request(self, do: str, path: Path, **more: Any) -> dict[str, Any]:
        return open_request(do, path, self.plan.seed, options={"shards": None}, **more)

    def judge(self, dest: Path, story: str) -> str:
        """What lies at dest: nothing, what is refused, or a whole store."""
        if not dest.exists() or not {entry.name for entry in dest.iterdir()} - {"LOCK"}:
            return "nothing"
        answer = self.openers.ask(self.request("read", dest))
        if "rows" in answer:
            assert answer["rows"] == self.rows, f"{story}: the copy opens and is wrong"
            return "whole"
        assert answer.get("error") == "FormatError", f"{story}: {answer}"
        assert "not finished" in answer["text"], f"{story}: {answer}"
        return "refused"


@pytest.fixture
def original(openers: Children, scratch: Path, rng: random.Random) -> Original:
    return Original(openers, scratch / "original", Plan(rng.getrandbits(32), 30))


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_at_the_nth_call_of_a_backup_leaves_no_half_copy(
    original: Original, runners: Children, scratch: Path, rng: random.Random, kind: str
) -> None:
    stride = max(1, round(5 / scaled(1)))
    seen: set[str] = set()
    for at in itertools.count(rng.randint(1, stride), stride):
        where = scratch / f"at-{at}"
        where.mkdir()
        fault, dest = FAULTS[kind](at), where / "copy"
        story = f"{original.plan}, {fault}"
        ask = original.request(
            "backup", original.store, dest=str(dest), shim=settings(where, fault)
        )
        try:
            answer: Answer = runners.ask(ask)
        except ChildDiedError as error:
            answer = {"hit": "killed", "signal": error.signal}
        assert answer.get("signal", 9) == 9, story
        assert "finding" not in answer, f"{story}: {answer}"
        found = original.judge(dest, f"{story}: {answer}")
        assert {"error", "signal"} & answer.keys() or found == "whole", f"{story}: {answer}"
        seen.add(found)
        if found in ("nothing", "refused"):
            again = runners.ask(original.request("backup", original.store, dest=str(dest)))
            assert again.get("seqno"), f"{story}: not to be made again: {again}"
            assert original.judge(dest, story) == "whole"
        shutil.rmtree(where)
        if not answer["hit"]:
            break
    assert original.rows_at(original.store) == original.rows, "the original was harmed"
    assert "whole" in seen
    assert kind == "short write" or seen & {"nothing", "refused"}


def test_a_check_finds_every_flipped_bit_that_alters_what_is_read(
    openers: Children, scratch: Path, rng: random.Random
) -> None:
    plan = Plan(rng.getrandbits(32), 40, keys=30)
    template = finished_store(openers, scratch / "flushed", plan, flush=True)
    damaged = Damaged(openers, template, plan, scratch)
    healthy = shardkv.check(template.copy(scratch / "healthy"))
    assert healthy.findings == ()
    store = scratch / "flushed" / "store"
    names = [str(path.relative_to(store)) for path in store.rglob("data.mdb")]
    names += [f"log/{path.name}" for path in (store / "log").iterdir()]
    names += ["MANIFEST", "MANIFEST.bak"]
    for name in sorted(names):
        bits = written_bits(store / name)
        for bit in rng.sample(bits, min(len(bits), scaled(4))):
            label = f"{name} bit {bit}"
            copy = template.copy(scratch / "checked")
            flip(copy / name, bit)
            report = shardkv.check(copy)
            shutil.rmtree(copy)
            outcome = damaged.outcome(label, lambda at, n=name, b=bit: flip(at / n, b), (name,))
            assert outcome == "right" or not report.ok, f"{plan}: {label}: {outcome}, not found"
