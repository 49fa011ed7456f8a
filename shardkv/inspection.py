"""The child process of `check`: reads the parts of a store one by one, and says what it finds, a line of JSON each.

A damaged page of a shard can end the process that maps it; then the parent knows by the last line which part it was.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from lmdb import verify

from shardkv._native import Check
from shardkv.children import say, told
from shardkv.errors import Error

FIRST_SHARD = 2


def structure(path: str, shard: int) -> list[dict[str, Any]]:
    """Return what the offline verifier of the lmdb package says of a shard's pages. It maps nothing."""
    name = f"shards/{shard:04}/data.mdb"
    try:
        wrong: list[str] = verify.verify(os.path.join(path, name), subdir=False)  # type: ignore[no-untyped-call]
    except (verify.VerifyError, OSError) as error:
        wrong = [str(error)]
    return [
        told(Error(f"the pages are not those of a sound environment: {text}", file=name))
        for text in wrong[:10]
    ]


def inspect(path: str, first: int, pages: bool) -> None:
    """Check the parts from `first` on."""
    try:
        check = Check(path)
    except Error as error:
        say(error=told(error))
        return
    say(parts=check.parts)
    for part in range(first, check.parts):
        say(begin=part)
        found = []
        if pages and FIRST_SHARD <= part < check.parts - 1:
            found = structure(path, part - FIRST_SHARD)
        try:
            errors, count = check.part(part)
        except Error as error:
            say(error=told(error))
            return
        found += [told(error) for error in errors]
        say(end=part, findings=found, more=count - len(errors))
    check.close()


if __name__ == "__main__":
    inspect(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "pages")
