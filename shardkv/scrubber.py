"""The child process of a scrub: verifies the shards of a store that may be open, and says what it finds."""

from __future__ import annotations

import sys

from shardkv._native import scrub_shard
from shardkv.children import say, told
from shardkv.errors import Error

NO_SHARD = 1 << 16  # nothing of it is read


def scrub(path: str, first: int, bytes_per_s: int) -> None:
    """Verify the shards from `first` on, at a pace."""
    try:
        shards = scrub_shard(path, NO_SHARD, 0)[0].shards
        say(shards=shards)
        for shard in range(first, shards):
            found, errors, count = scrub_shard(path, shard, bytes_per_s)
            say(sum=found, findings=[told(error) for error in errors], more=count - len(errors))
    except Error as error:
        say(error=told(error))


if __name__ == "__main__":
    scrub(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
