"""The child process of a repair: makes a sound store beside a damaged one, proves it, and lets them change places."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import Any

from shardkv import quarantine
from shardkv._native import Check, Mend
from shardkv.children import say, told
from shardkv.errors import CorruptionError, Error
from shardkv.places import holds_store

BESIDE = ".mending"


def mend(sources: list[tuple[str, int]]) -> None:
    """Replace the store at the first source's path, and tell what was done. The damaged one is kept beside it."""
    path = sources[0][0]
    beside = path + BESIDE
    if holds_store(beside):  # of a repair that was killed before they changed places, or somebody's
        os.rename(beside, free_name(f"{beside}-unused"))
    work, kept = Mend(sources, beside), ""
    try:
        while work.next():
            say(done=work.done, total=work.total)
        losses, count = work.losses()
        prove(beside)
        if count:
            listed = [told(loss) for loss in losses]
            quarantine.write(beside, work.suspects(), listed, count - len(losses))
        kept = change_places(path, beside)
        say(kept=kept, seqno=work.seqno, losses=[told(loss) for loss in losses], count=count)
    finally:
        work.close()
        if not kept:
            shutil.rmtree(beside, ignore_errors=True)


def prove(path: str) -> None:
    """Read the new store as a check does.

    Raises: CorruptionError.
    """
    check = Check(path)
    for part in range(check.parts):
        found, _ = check.part(part)
        if found:
            raise CorruptionError(
                f"the mended store is not sound, and the damaged one stays: {found[0]}",
                file=found[0].file,
            )
    check.close()


def change_places(path: str, beside: str) -> str:
    """Put the new store where the damaged one was; return where that is now."""
    kept = free_name(f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    os.rename(path, kept)
    os.rename(beside, path)
    quarantine.sync_dir(os.path.dirname(path))
    return kept


def free_name(name: str) -> str:
    """Return a name that nothing has yet."""
    found, n = name, 1
    while os.path.lexists(found):
        n += 1
        found = f"{name}-{n}"
    return found


def main(request: Any) -> None:
    """Do what the parent asks for."""
    try:
        mend([(str(name), int(upto)) for name, upto in request])
    except Error as error:
        say(error=told(error))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
