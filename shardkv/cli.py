"""What every command of the command line is made of: the group, exit codes, JSON, a progress bar."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

import shardkv

DAMAGED, NOT_DONE = 1, 2
as_json = click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
path_argument = click.argument("path", type=click.Path(exists=True, file_okay=False))
dest_argument = click.argument("dest", type=click.Path())


@click.group()
@click.version_option(shardkv.__version__)
def tools() -> None:
    """Look after a store. Exit code 0: good; 1: damage was found; 2: it could not be done."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path may be no text


def telling(command: Callable[..., None]) -> Callable[..., None]:
    """Make errors of a command words and an exit code."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        try:
            command(**given)
        except (shardkv.Error, OSError) as error:
            with contextlib.suppress(OSError):  # it may be the output that failed
                if given["as_json"]:
                    say_json({"error": type(error).__name__, "text": str(error)})
            click.echo(f"{type(error).__name__}: {error}", err=True)
            sys.exit(DAMAGED if isinstance(error, shardkv.CorruptionError) else NOT_DONE)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(NOT_DONE)

    return run


def say_json(what: object) -> None:
    """Print one line of JSON."""
    click.echo(json.dumps(what))


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on a terminal; nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
