"""Schedules: what happens to three directories of one family in an order that a seed decides, beside a model of it.

The model knows of every record which ones came before it in its primary: its chain. Whatever a directory holds must be
one chain, and every record that was durable anywhere must be in some directory or export, whatever was forced.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from peers.families import Away

import shardkv
from shardkv._native import look_at_lineage
from shardkv.lineage import unpacked
from shardkv.options import Ack

Chain = frozenset[bytes]
REFUSALS = (
    shardkv.FencedError,
    shardkv.AckError,
    shardkv.InvalidError,
    shardkv.LockedError,
    shardkv.LogGoneError,
    shardkv.FormatError,  # an unfinished copy
)


class Schedule:
    """Three directories and what is known of them."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        self.paths = [root / name for name in "abc"]
        self.stores: dict[Path, shardkv.Store] = {}
        self.chains: set[Chain] = {frozenset()}
        self.durable: set[bytes] = set()
        self.acked: set[bytes] = set()  # by a quorum
        self.exported: set[bytes] = set()
        self.forced = False
        self.count = 0
        self.diary: list[str] = []
        self.seen: Counter[str] = Counter()  # how it went, to be told
        with shardkv.open(self.paths[0], shards=1, peers=self.paths[1:], ack="all") as store:
            self._write(store, "all")

    def run(self, steps: int) -> None:
        """Do so many things, then look at everything."""
        doings: list[Callable[[], None]] = [self.open, self.write, self.close, self.promote]
        doings += [self.open, self.promote, self.rejoin, self.rejoin, self.add]
        try:
            for _ in range(steps):
                doing = self.random.choice(doings)
                try:
                    doing()
                except REFUSALS as error:
                    if isinstance(error, shardkv.FormatError) and "not finished" not in str(error):
                        raise
                    self.diary.append(f"  {type(error).__name__}: {error}")
                    self.seen[f"{doing.__name__}: {type(error).__name__}"] += 1
            self.verify()
        finally:
            for store in self.stores.values():
                store.close()

    # -- what happens

    def open(self) -> None:
        """Open a directory that is not open, while some others may be away."""
        path = self._likely([p for p in self.paths if p not in self.stores])
        if path is None:
            return
        ack = self.random.choice(["disk", "quorum", "all"])
        with self._some_away(path) as away:
            self.diary.append(f"open {path.name} {ack} without {away}")
            store = shardkv.open(path, ack=ack, create=False, write_timeout=1.0)
            self.stores[path] = store
            base = frozenset(store)
            assert base in self.chains, f"{path.name} holds {sorted(base)}, which nobody wrote"
            self.seen["opened with others away" if away else "opened"] += 1
            if ack != "disk" and not self.forced:
                self.seen["opened with what a quorum has"] += 1
                assert base >= self.acked, f"{path.name} lacks {sorted(self.acked - base)}"
            if away:
                for _ in range(self.random.randint(1, 3)):
                    self._write(store, "disk")
                self._close(path)

    def write(self) -> None:
        """Write through one that is open."""
        path = self._any(list(self.stores))
        if path is not None:
            for _ in range(self.random.randrange(1, 4)):
                self._write(self.stores[path], self.random.choice(["disk", "quorum", "all"]))

    def close(self) -> None:
        """Close one that is open."""
        path = self._any(list(self.stores))
        if path is not None:
            self._close(path)

    def promote(self) -> None:
        """Promote any directory with any others, often without the one that was the primary."""
        self._mostly_close()
        gone = self._likely(self.paths) if self.random.random() < 0.8 else None
        there = [p for p in self.paths if p != gone]
        path, *others = self.random.sample(there, self.random.randint(1, len(there)))
        force = self.random.random() < 0.3
        self.diary.append(f"promote {path.name} {[p.name for p in others]} force={force}")
        done = shardkv.promote(path, *others, force=force)
        self.diary.append(f"  {done}")
        self.seen["promoted by force" if force else "promoted"] += 1
        self.forced = self.forced or force
        if not self.forced:
            assert self._peek(path) >= self.acked, f"{path.name} lacks what a quorum acked"

    def rejoin(self) -> None:
        """Make any directory a peer of any other."""
        self._mostly_close()
        path, primary = self.random.sample(self.paths, 2)
        if self.random.random() < 0.8:
            path, primary = sorted(self.paths, key=self._standing)[1:]
        self.diary.append(f"rejoin {path.name} to {primary.name}")
        self.count += 1
        export = self.root / f"export{self.count}"
        before = None if self.stores else self._peek(path)
        done = shardkv.rejoin(path, export, primary=primary, partial=self.random.random() < 0.5)
        self.diary.append(f"  {done}")
        self.seen["rejoined, exported" if done.export else "rejoined"] += 1
        if done.export is not None:
            got = {record.key for record in shardkv.read_export(export)}
            assert len(got) == done.records
            self.exported |= got
            if before is not None:
                self.seen["export compared"] += 1
                assert len(before - got) == done.common_seqno
                assert before - got in self.chains

    def add(self) -> None:
        """Give an open store a peer that it lacks."""
        path = self._any(list(self.stores))
        if path is not None:
            lacking = [p for p in self.paths if p != path and str(p) not in self.stores[path].peers]
            if (peer := self._any(lacking)) is not None:
                self.diary.append(f"add {peer.name} to {path.name}")
                self.stores[path].peers.add(peer)
                self.seen["added"] += 1

    # -- what must hold

    def verify(self) -> None:
        """Close everything, and look at every directory."""
        for path in list(self.stores):
            self._close(path)
        held = [self._peek(path) for path in self.paths]
        for path, chain in zip(self.paths, held, strict=True):
            assert chain in self.chains, f"{path.name} holds {sorted(chain)}, which nobody wrote"
        lost = self.durable - self.exported - frozenset().union(*held)
        assert not lost, f"{sorted(lost)} are nowhere"

    def _write(self, store: shardkv.Store, ack: Ack) -> None:
        self.count += 1
        key = b"%04d" % self.count
        self.chains.add(frozenset(store) | {key})
        self.durable.add(key)
        self.diary.append(f"put {key.decode()} {ack} through {Path(store.path).name}")
        store.put(key, b"", ack=ack)
        self.seen["acked at " + ack] += 1
        if ack != "disk":
            self.acked.add(key)

    def _mostly_close(self) -> None:
        """Close all, since nothing can be done to directories that are in use but refuse it; not always."""
        if self.random.random() < 0.8:
            for path in list(self.stores):
                self._close(path)

    def _close(self, path: Path) -> None:
        self.diary.append(f"close {path.name}")
        self.stores.pop(path).close()

    def _peek(self, path: Path) -> Chain:
        """Return what a directory holds, from a copy: opening it would change it."""
        copy = self.root / "peek"
        try:
            shutil.copytree(path, copy)
            with shardkv.open(copy, readonly=True, create=False) as store:
                return frozenset(store)
        except (shardkv.FormatError, shardkv.InvalidError) as error:
            if "not finished" not in str(error) and "no store" not in str(error):
                raise
            return frozenset()
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _some_away(self, path: Path) -> contextlib.AbstractContextManager[list[str]]:
        others = [p for p in self.paths if p != path]
        if self.stores or self.random.random() < 0.3:
            return contextlib.nullcontext([])
        gone = self.random.sample(others, self.random.randrange(1, 3))
        stack = contextlib.ExitStack()
        stack.enter_context(Away(*gone))
        return _With(stack, [p.name for p in gone])

    def _likely(self, paths: list[Path]) -> Path | None:
        """Choose one, mostly one that takes itself for a primary."""
        primaries = [path for path in paths if self._standing(path)[0]]
        return self._any(primaries if primaries and self.random.random() < 0.8 else paths)

    def _standing(self, path: Path) -> tuple[bool, int]:
        """Return whether one takes itself for a primary, and of which epoch."""
        one = unpacked(look_at_lineage(str(path)) or b"")
        return (one.role == "primary", one.epoch) if one else (False, -1)

    def _any(self, paths: list[Path]) -> Path | None:
        return self.random.choice(paths) if paths else None


class _With(contextlib.AbstractContextManager[list[str]]):
    def __init__(self, stack: contextlib.ExitStack, names: list[str]) -> None:
        self._stack, self._names = stack, names

    def __enter__(self) -> list[str]:
        return self._names

    def __exit__(self, *_: object) -> None:
        self._stack.close()
