"""What every chapter of the demo needs: the console, the checks, the rates for the last table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PLAIN_WIDTH = 100
MB = 1e6

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Rate:
    """How fast something went, and how often the log was synced meanwhile (None for reads)."""

    what: str
    records: int
    seconds: float
    syncs: int | None = None

    @property
    def per_second(self) -> float:
        return self.records / max(self.seconds, 1e-9)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begin


def make_console() -> Console:
    """Return a console that is wide enough where there is no terminal to ask."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


@dataclass
class Show:
    """Where the chapters print to, what they found wrong, and the rates they measured."""

    console: Console = field(default_factory=make_console)
    rates: list[Rate] = field(default_factory=list)
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Print the title of a chapter."""
        self.console.print()
        self.console.print(title, style="bold", markup=False)

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(f"   {text}", markup=False, soft_wrap=True)

    def check(self, holds: bool, text: str) -> None:
        """Print one promise and whether it holds."""
        if holds:
            self.passed += 1
            self.console.print("   [bold green]ok[/]    ", end="")
        else:
            self.failed.append(text)
            self.console.print("   [bold red]FAILED[/]", end=" ")
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """Show a bar on a terminal while the block runs; it calls what it gets with each step."""
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        quiet = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=quiet) as bar:
            task = bar.add_task(what, total=total)
            yield lambda step: bar.advance(task, step)
