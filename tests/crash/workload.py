"""Runs a plan against a store, with a diary. Runs inside a child process (child.py)."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shardkv

from .journal import Journal
from .plan import CHANGES, PROBE, Plan, Step, keys_of, steps_of, value_of, writer_of

NOTHING_WRITTEN = -1  # a delete of what is not there promises nothing about the writes before it
GIVE_UP_AFTER = 3  # failures; each doubles the outcomes that the oracle must consider


class Workload:
    """One plan on one store. Failures that are typed go to the diary; all others come out."""

    def __init__(self, path: Path, plan: Plan, journal: Journal, options: dict[str, Any]) -> None:
        self.path, self.plan, self.journal, self.options = path, plan, journal, options
        self.level = options.get("ack", "disk")
        self.store: Any = None
        self.untyped: list[str] = []
        self.errors: list[str] = []
        self._tickets: list[Any] = []
        self._model: dict[bytes, int] = {}
        self._unsure: set[bytes] = set()
        self._disk_steps = {
            step.number: (thread, index)
            for thread in range(plan.threads)
            for index, step in enumerate(steps_of(plan, thread))
            if step.disk
        }

    def run(self, flush_at_close: bool = True) -> None:
        self.journal.life(self.plan.life)
        if not self._open():
            return
        self._model = self._shown()
        self.journal.shown(self._model)
        threads = [
            threading.Thread(target=self._work, args=(t,)) for t in range(1, self.plan.threads)
        ]
        for thread in threads:
            thread.start()
        self._work(0)
        for thread in threads:
            thread.join()
        self._attempt("close", lambda: self.store.close(flush=flush_at_close))

    def _open(self) -> bool:
        def open_store() -> None:
            self.store = shardkv.open(self.path, **self.options)

        return self._attempt("open", open_store)

    def _attempt(self, what: str, action: Callable[[], None]) -> bool:
        """Do it; an error of ours is noted, any other is a finding."""
        try:
            action()
        except shardkv.Error as error:
            self.errors.append(f"{what}: {type(error).__name__}: {error}")
            return False
        except Exception as error:
            self.untyped.append(f"{what}: {type(error).__name__}: {error}")
            return False
        return True

    def _shown(self) -> dict[bytes, int]:
        seed, rows = self.plan.seed, {}
        for key, value in self.store.scan():
            if not key.startswith(PROBE):
                rows[key] = writer_of(seed, key, value)
        return rows

    def _work(self, thread: int) -> None:
        failures = 0
        for index, step in enumerate(steps_of(self.plan, thread)):
            self.journal.intends(thread, index)
            try:
                seqno = self._do(step)
            except shardkv.Error as error:
                failures += 1
                self._failed(thread, index, step, error)
                if failures == GIVE_UP_AFTER or step.verb.startswith("reopen"):
                    return
            except Exception as error:
                self._failed(thread, index, step, error)
                self.untyped.append(f"{step.verb}: {type(error).__name__}: {error}")
                return
            else:
                step.apply(self._model)
                self._unsure.difference_update(key for key, _ in step.items)
                if step.verb in CHANGES and step.disk and seqno != NOTHING_WRITTEN:
                    self.journal.reached(thread, index)
                if step.verb not in ("get", "scan", "snapshot"):
                    self.journal.acked(
                        thread, index, max(seqno, 0), step.disk and seqno != NOTHING_WRITTEN
                    )

    def _failed(self, thread: int, index: int, step: Step, error: Exception) -> None:
        self.journal.failed(thread, index, error)
        self.errors.append(f"{step.verb}: {type(error).__name__}: {error}")
        self._unsure.update(key for key, _ in step.items)

    def _do(self, step: Step) -> int:
        """Run one step; returns the seqno it was told, 0 when none, or NOTHING_WRITTEN."""
        verb = getattr(self, "_" + step.verb.replace(" ", "_"))
        return verb(step) or 0

    def _value(self, step: Step, key: bytes, size: int | None) -> bytes:
        assert size is not None
        return value_of(self.plan.seed, step.number, key, size)

    def _put(self, step: Step) -> Any:
        [(key, size)] = step.items
        return self.store.put(
            key, self._value(step, key, size), ack=self.level if step.disk else "memory"
        )

    def _submit(self, step: Step) -> Any:
        [(key, size)] = step.items
        ticket = self.store.submit(key, self._value(step, key, size))
        self._tickets.append(ticket)
        return ticket.seqno

    def _wait(self, step: Step) -> None:
        """Wait for every ticket, also for those that other threads got."""
        tickets, self._tickets = self._tickets, []
        for ticket in tickets:
            ticket.wait(20)
            if not ticket.done():
                self.journal.wrong(f"step {step.number}: a ticket that was waited for is not done")
        self.store.sync()

    def _delete(self, step: Step) -> int:
        [(key, _)] = step.items
        there = self.store.delete(key, ack=self.level if step.disk else "memory")
        if self._knows(key) and there != (key in self._model):
            self.journal.wrong(f"step {step.number}: delete({key.hex()}) said {there}")
        return 0 if there else NOTHING_WRITTEN

    def _batch(self, step: Step) -> Any:
        with self.store.batch(ack=self.level if step.disk else "memory") as batch:
            for key, size in step.items:
                if size is None:
                    batch.delete(key)
                else:
                    batch.put(key, self._value(step, key, size))
        return getattr(batch, "seqno", 0)

    def _put_many(self, step: Step) -> Any:
        return self.store.put_many(
            {key: self._value(step, key, size) for key, size in step.items}, ack=self.level
        )

    def _delete_many(self, step: Step) -> int:
        return (
            0
            if self.store.delete_many([key for key, _ in step.items], ack=self.level)
            else NOTHING_WRITTEN
        )

    def _sync(self, _step: Step) -> None:
        self.store.sync()

    def _flush(self, _step: Step) -> None:
        self.store.flush()

    def _reopen(self, _step: Step, flush: bool = True) -> None:
        self._tickets.clear()
        self.store.close(flush=flush)
        self.store = shardkv.open(self.path, **self.options)

    def _reopen_unflushed(self, step: Step) -> None:
        self._reopen(step, flush=False)

    def _knows(self, key: bytes) -> bool:
        return self.plan.threads == 1 and key not in self._unsure

    def _get(self, step: Step) -> None:
        """Read what all threads wrote, and note what must stay because a reader saw it (P3)."""
        for thread in range(self.plan.threads):
            keys = keys_of(self.plan, thread)
            for key, value in self.store.get_many(keys[step.number % 3 :: 3]).items():
                number = writer_of(self.plan.seed, key, value)
                expected = self._model.get(key) if self._knows(key) else number
                if number != expected:
                    where = f"step {step.number}, key {key.hex()}"
                    self.journal.wrong(f"{where}: read {number}, expected {expected}")
                if number in self._disk_steps and self.plan.threads > 1:
                    self.journal.saw(*self._disk_steps[number])

    def _scan(self, step: Step) -> None:
        self._compare(step, self._shown())

    def _snapshot(self, step: Step) -> None:
        with self.store.snapshot() as snapshot:
            shown = {
                k: writer_of(self.plan.seed, k, v)
                for k, v in snapshot.scan()
                if not k.startswith(PROBE)
            }
        self._compare(step, shown)

    def _compare(self, step: Step, shown: dict[bytes, int]) -> None:
        if self.plan.threads > 1:
            return
        wrong = [
            k
            for k in shown.keys() | self._model.keys()
            if k not in self._unsure and shown.get(k) != self._model.get(k)
        ]
        if wrong:
            told = f"{len(wrong)} keys wrong, first {wrong[0].hex()}"
            self.journal.wrong(f"step {step.number}: {step.verb} shows {told}")


def open_below(root: Path) -> list[str]:
    """Files below `root` that this process still holds open."""
    held = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        if name.startswith(str(root) + "/"):
            held.append(name)
    return held
