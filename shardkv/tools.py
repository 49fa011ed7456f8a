"""The command line: check and repair, scrub, backup, restore, dump, stats of a store that nobody has open; peers.

Exit codes: 0 good; 1 damage was found; 2 it could not be done (usage, no store, in use, disk).
"""

from __future__ import annotations

import base64
import dataclasses
import os
import sys

import click

import shardkv
import shardkv.scrubbing
from shardkv.cli import (
    DAMAGED,
    as_json,
    bar,
    dest_argument,
    path_argument,
    say_json,
    telling,
    tools,
)
from shardkv.peers_tool import peers, promote, rejoin
from shardkv.restoring import backup_closed

__all__ = ["tools"]

for command in (promote, rejoin, peers):
    tools.add_command(command)


@tools.command()
@path_argument
@click.option("--pages/--no-pages", default=True, help="The structure of pages, too: some MB/s.")
@click.option(
    "--repair", is_flag=True, help="Make it sound; the damaged directory stays beside it."
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="A copy to repair from: a peer, a backup, damaged or not. A store that knows its peers need not be told.",
)
@as_json
@telling
def check(path: str, pages: bool, repair: bool, peers: tuple[str, ...], as_json: bool) -> None:
    """Read everything in the store at PATH and say what is damaged. Without --repair nothing is written.

    With --repair: 0 when it was sound or is by now, 1 when records are lost and it is in quarantine.
    """
    with bar("checking") as progress:
        report = shardkv.check(path, peers=peers, repair=repair, pages=pages, progress=progress)
    say_findings(report, f"{report.parts} parts", as_json)
    if report.repaired and not as_json:
        say_repair(path, report.repaired)
    sys.exit(0 if report.ok else DAMAGED)


def say_findings(
    report: shardkv.CheckReport | shardkv.ScrubReport, read: str, as_json: bool
) -> None:
    """Print what was found in what was read."""
    if as_json:
        say_json({**dataclasses.asdict(report), "ok": report.ok})
        return
    for finding in report.findings:
        click.echo(str(finding))
    click.echo(f"{len(report.findings)} findings in {read}, {report.seconds:.1f} s")


def say_repair(path: str, done: shardkv.Repair) -> None:
    """Print what a repair did."""
    click.echo(f"repaired: {path} holds all up to seqno {done.seqno}; before: {done.kept}")
    for lost in done.lost:
        click.echo(f"lost: {lost}")
    if done.lost_count:
        click.echo(f"{done.lost_count} losses: the store is in quarantine")


@tools.command()
@path_argument
@click.option("--bytes-per-s", type=click.IntRange(min=1), help="At most so fast.")
@as_json
@telling
def scrub(path: str, bytes_per_s: int | None, as_json: bool) -> None:
    """Verify the shards of the store at PATH, which may be open, here or in another process. The log is left to it."""
    report = shardkv.scrubbing.scrub_shards(path, bytes_per_s=bytes_per_s or 0)
    say_findings(report, f"{report.bytes} bytes", as_json)
    sys.exit(0 if report.ok else DAMAGED)


def say_copied(dest: str, info: shardkv.BackupInfo, as_json: bool) -> None:
    """Say what a copy holds."""
    if as_json:
        say_json(dataclasses.asdict(info))
        return
    took = f"{info.bytes} bytes, {info.seconds:.1f} s"
    grown = "" if info.since is None else f", grown from {info.since}"
    click.echo(f"{dest} holds all up to seqno {info.seqno}{grown}: {took}")


@tools.command()
@path_argument
@dest_argument
@click.option(
    "--max-bytes-per-s", type=click.IntRange(min=1), help="Write no more than so many bytes/s."
)
@as_json
@telling
def backup(path: str, dest: str, max_bytes_per_s: int | None, as_json: bool) -> None:
    """Back up the store at PATH, which nobody has open, to DEST, or bring the backup there up to date.

    An open store is backed up by its program: store.backup.
    """
    with bar("copying") as progress:
        info = backup_closed(path, dest, progress=progress, max_bytes_per_s=max_bytes_per_s)
    say_copied(dest, info, as_json)


@tools.command()
@path_argument
@dest_argument
@click.option(
    "--until", type=click.IntRange(min=0), help="Leave out what is newer than this seqno."
)
@as_json
@telling
def restore(path: str, dest: str, until: int | None, as_json: bool) -> None:
    """Make a store at DEST of the backup at PATH, which stays as it is."""
    with bar("copying") as progress:
        info = shardkv.restore(path, dest, until=until, progress=progress)
    say_copied(dest, info, as_json)


def text_of(data: bytes) -> str:
    """Return bytes as JSON can carry them."""
    return base64.b64encode(data).decode()


@tools.command()
@path_argument
@click.option("--prefix", default="", help="Only keys that begin with it.")
@click.option("--limit", type=click.IntRange(min=0), help="At most so many.")
@click.option("--keys", is_flag=True, help="No values.")
@click.option("--quarantined", is_flag=True, help="Of a store with lost records, what is left.")
@as_json
@telling
def dump(
    path: str, prefix: str, limit: int | None, keys: bool, quarantined: bool, as_json: bool
) -> None:
    """Print the rows of the store at PATH in key order, as Python or, a line each, as JSON in base64.

    Keys of namespaces are not shown.
    """
    with shardkv.open(path, create=False, readonly=True, quarantined=quarantined) as store:
        for key, value in store.scan(prefix=os.fsencode(prefix), limit=limit):
            parts = (key,) if keys else (key, value)
            if as_json:
                say_json(dict(zip(("key", "value"), map(text_of, parts), strict=False)))
            else:
                click.echo(" ".join(map(repr, parts)))


@tools.command()
@path_argument
@as_json
@telling
def stats(path: str, as_json: bool) -> None:
    """Print the counters of the store at PATH."""
    with shardkv.open(path, create=False, readonly=True) as store:
        told = dataclasses.asdict(store.stats()) | {"keys": len(store)}
    if as_json:
        say_json(told)
        return
    for name, value in told.items():
        if not isinstance(value, (dict, tuple)):
            click.echo(f"{name}: {value}")
    for number, shard in enumerate(told["shards"]):
        click.echo(f"shard {number}: {shard['records']} records, {shard['file_bytes']} bytes")
