"""Copies of a store that is being written to, made file by file, as `cp` makes them."""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
from pathlib import Path

import shardkv

KEYS, BATCH, ROUNDS = 6000, 300, 20


class Writer:
    """Writes batches that count up, each under some of the keys; what was written when is known."""

    def __init__(self, store: shardkv.Store, rng: random.Random) -> None:
        self._store, self._rng = store, rng
        self.batches: list[list[int]] = []
        self.over = threading.Event()
        self.write(list(range(KEYS)))
        store.flush()

    def write(self, keys: list[int]) -> None:
        number = len(self.batches)
        with self._store.batch() as batch:
            for key in keys:
                batch.put(b"%06d" % key, b"%d" % number + b"." * 200)
        self.batches.append(keys)

    def run(self) -> None:
        while not self.over.is_set():
            self.write(self._rng.sample(range(KEYS), BATCH))

    def judge(self, path: Path, least: int) -> None:
        """It is as it was after one of the batches, not before the one that is named."""
        with shardkv.open(path, create=False) as copy:
            found = {int(key): int(value.rstrip(b".")) for key, value in copy.items()}
        last = max(found.values())
        assert last >= least
        while last == len(self.batches):  # on its way, or about to be noted
            self.over.wait(0.001)
        expected = {}
        for number in range(last + 1):
            expected |= dict.fromkeys(self.batches[number], number)
        assert found == expected


def test_a_copy_made_by_cp_is_what_was_there_or_says_that_it_is_not(
    tmp_path: Path, rng: random.Random
) -> None:
    """Backups are for that; but who copies the files is told, and is never shown what never was."""
    refused = contextlib.suppress(shardkv.CorruptionError, shardkv.FormatError)
    with shardkv.open(tmp_path / "store", shards=4, unflushed_bytes=1 << 20) as store:
        writer = Writer(store, rng)
        thread = threading.Thread(target=writer.run)
        thread.start()
        try:
            for number in range(ROUNDS):
                least, path = len(writer.batches) - 1, tmp_path / f"{number}"
                with contextlib.suppress(shutil.Error):  # a file that was there went
                    shutil.copytree(store.path, path)
                with refused:
                    writer.judge(path, least)
                shutil.rmtree(path)
        finally:
            writer.over.set()
            thread.join()
        store.flush()
        shutil.copytree(store.path, tmp_path / "still")
        writer.judge(tmp_path / "still", len(writer.batches) - 1)
