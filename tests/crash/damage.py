"""Finished stores to damage, and the judge of what opening a damaged one may answer."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .children import ChildDiedError, Children, open_request, rows_of, run_request
from .plan import Plan
from .replay import Template

Rows = dict[bytes, int]


def finished_store(
    openers: Children, where: Path, plan: Plan, *, flush: bool, shards: int = 2
) -> Template:
    """Run the plan on a new store and close it; without `flush` its records stay in the log."""
    where.mkdir(parents=True, exist_ok=True)
    request = run_request(
        where / "store", plan, where / "journal", flush=flush, options={"shards": shards}
    )
    answer = openers.ask(request)
    assert answer.get("errors") == [], answer
    return Template(where / "store")


def read_request(path: Path, plan: Plan) -> dict[str, Any]:
    """Open what is there, with `create`: a damaged store must not be taken for a new one."""
    return open_request("read", path, plan.seed, options={"shards": None, "create": True})


def judge(answer: dict[str, Any], right: Rows, names: tuple[str, ...]) -> str:
    """Return "right" or "refused"; AssertionError for a wrong value, a silent drop, a vague error.

    The error must name one of the damaged files.
    """
    if "rows" in answer:
        shown = rows_of(answer)
        wrong = [key for key in shown if shown[key] != right.get(key)]
        lost = f"{len(right.keys() - shown.keys())} keys lost, {len(wrong)} with another value"
        assert shown == right, f"silently wrong: {lost}"
        return "right"
    error = answer.get("error")
    assert error in ("CorruptionError", "FormatError"), f"neither right nor refused: {answer}"
    file = answer.get("file", "")
    # A flip in a meta page can show the shard as it was: that one of them is older is told by their sum.
    named = any(name in file or file == name.split("/")[0] == "shards" for name in names)
    assert named, f"the error names another file than {names}: {answer}"
    assert error == "FormatError" or "offset" in answer, f"the error names no offset: {answer}"
    return "refused"


class Damaged:
    """Copies of one store, each damaged in its own way and opened in a child."""

    def __init__(self, openers: Children, template: Template, plan: Plan, where: Path) -> None:
        self.openers, self.template, self.plan, self.where = openers, template, plan, where
        answer = openers.ask(read_request(template.copy(where / "whole"), plan))
        assert "rows" in answer, answer
        self.rows = rows_of(answer)
        assert len(self.rows) > 1
        self.deaths = 0

    def outcome(self, label: str, damage: Callable[[Path], None], names: tuple[str, ...]) -> str:
        """What happens when the store is opened after `damage`: right, refused, or died."""
        path = self.template.copy(self.where / label.replace("/", "_").replace(" ", "_"))
        damage(path)
        try:
            answer = self.openers.ask(read_request(path, self.plan))
        except ChildDiedError:
            self.deaths += 1
            return "died"
        assert not answer["held"], f"{self.plan}, {label}: still open: {answer['held']}"
        try:
            found = judge(answer, self.rows, names)
        except AssertionError as error:
            raise AssertionError(f"{self.plan}, {label}: {error}") from None
        shutil.rmtree(path)
        return found
