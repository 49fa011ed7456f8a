"""The command line's half for families: promote, rejoin, peers."""

from __future__ import annotations

import dataclasses
import sys
import threading

import click

import shardkv
from shardkv.cli import DAMAGED, NOT_DONE, as_json, bar, path_argument, say_json, telling
from shardkv.standings import Standing, stand

LOOK_S = 0.2
peer_argument = click.argument("peer", type=click.Path())


@click.command()
@path_argument
@click.argument("others", nargs=-1, type=click.Path())
@click.option("--force", is_flag=True, help="Without a majority, and what cannot be taken over.")
@as_json
@telling
def promote(path: str, others: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Make the peer at PATH the primary. OTHERS: the other directories of the family that are still there."""
    done = shardkv.promote(path, *others, force=force)
    if as_json:
        say_json(dataclasses.asdict(done))
        return
    click.echo(
        f"{done.path} is the primary, of epoch {done.epoch}, with all up to seqno {done.seqno}"
    )
    if done.taken:
        click.echo(f"{done.taken} records were taken over from a better directory")
    click.echo(f"peers: {', '.join(done.members) or 'none'}")
    for lacking in done.lacking:
        click.echo(
            f"never acked here: seqno {lacking.first_seqno} to {lacking.last_seqno} of {lacking.path}"
        )
    for name in done.unknown:
        click.echo(f"not read: {name}; what it has after seqno {done.seqno} was never acked here")


@click.command()
@path_argument
@click.argument("export", type=click.Path())
@click.option("--primary", required=True, type=click.Path(), help="The primary's directory.")
@click.option("--partial", is_flag=True, help="Export what is left where the log is gone.")
@as_json
@telling
def rejoin(path: str, export: str, primary: str, partial: bool, as_json: bool) -> None:
    """Make an old primary or a diverged peer at PATH a peer again; what only it has goes to the file EXPORT."""
    done = shardkv.rejoin(path, export, primary=primary, partial=partial)
    if as_json:
        say_json(dataclasses.asdict(done))
        return
    if done.export is None:
        click.echo(f"{done.path} has nothing of its own: it goes on as a peer")
        return
    which = "all" if done.complete else "what was left of the"
    click.echo(
        f"{done.export} holds {which} records from seqno {done.common_seqno + 1} to {done.last_seqno}: "
        f"{done.records}; {done.path} is copied anew"
    )


@click.group()
def peers() -> None:
    """Look at a family of directories, or change which peers a store has."""


def words_of(one: Standing) -> dict[str, object]:
    """Return what is known of a directory as JSON can carry it."""
    known = one.lineage
    return {
        "path": one.path,
        "role": known.role if known else None,
        "family": known.family.hex() if known else None,
        "epoch": known.epoch if known else None,
        "seqno": one.seqno,
        "members": list(known.members) if known else [],
        "let_go": one.let_go,
        "error": str(one.error) if one.error else None,
    }


@peers.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@as_json
@telling
def show(paths: tuple[str, ...], as_json: bool) -> None:
    """Say what each directory at PATHS is: role, epoch, newest seqno, members. Nothing is written."""
    found = [stand(path) for path in paths]
    for one in found:
        told = words_of(one)
        if as_json:
            say_json(told)
            continue
        role = told["role"] or "of no family"
        newest = "unknown" if one.seqno is None else one.seqno
        click.echo(f"{one.path}: {role}, epoch {told['epoch']}, newest seqno {newest}")
        if one.lineage:
            click.echo(f"  peers: {', '.join(one.lineage.members) or 'none'}")
        if one.let_go:
            click.echo("  let go by its primary")
        if one.error:
            click.echo(f"  {type(one.error).__name__}: {one.error}")
    errors = [one.error for one in found if one.error]
    damaged = any(isinstance(error, shardkv.CorruptionError) for error in errors)
    sys.exit(DAMAGED if damaged else NOT_DONE if errors else 0)


@peers.command()
@path_argument
@peer_argument
@as_json
@telling
def add(path: str, peer: str, as_json: bool) -> None:
    """Make the directory PEER a peer of the store at PATH, which nobody has open, and copy everything to it."""
    with shardkv.open(path, create=False) as store, bar("copying") as progress:
        store.peers.add(peer)
        while True:
            status = store.peers.status()[-1]
            if status.state == "failed":
                raise shardkv.AckError(f"{peer} is a peer, but it is not up to date: {status.why}")
            if status.state == "current":
                break
            progress(status.done, status.total)
            threading.Event().wait(LOOK_S)
    if as_json:
        say_json({"path": status.path, "seqno": status.seqno})
    else:
        click.echo(f"{peer} is a peer of {path}, with all up to seqno {status.seqno}")


@peers.command()
@path_argument
@peer_argument
@as_json
@telling
def remove(path: str, peer: str, as_json: bool) -> None:
    """Let go of PEER, a peer of the store at PATH, which nobody has open. Its directory stays as it is."""
    with shardkv.open(path, create=False) as store:
        store.peers.remove(peer)
        left = list(store.peers)
    if as_json:
        say_json({"members": left})
    else:
        click.echo(f"peers: {', '.join(left) or 'none'}")
