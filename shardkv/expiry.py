"""How long a record lives: a ttl in seconds, checked here and nowhere else, before C is entered."""

from __future__ import annotations

from typing import Final

from shardkv._native import TTL_MS_MAX
from shardkv.errors import InvalidError
from shardkv.opened import Opened

Ttl = float | None  # seconds; None: for ever

TTL_MAX: Final[int] = TTL_MS_MAX // 1000


def ttl_ms(ttl: Ttl) -> int:
    """Return a ttl in whole milliseconds, at least 1; 0 for None: the record does not expire.

    Args: ttl: seconds, more than 0 and at most a hundred years.
    Raises: TypeError; InvalidError (range, nan, infinity).
    """
    if ttl is None:
        return 0
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise TypeError(f"ttl must be a number of seconds, not {type(ttl).__name__}")
    if not 0 < ttl <= TTL_MAX:
        raise InvalidError(
            f"ttl is {ttl} seconds; it must be more than 0 and at most {TTL_MAX}, a hundred years"
        )
    return max(1, round(ttl * 1000))


class ExpiringKeys(Opened):
    """What a store does about records whose time is over."""

    def purge_expired(self) -> int:
        """Remove what has expired now instead of in the background; return how many records that were.

        Until they are removed, expired records count in `len()`; nothing else shows them.

        Raises: as put; as flush.
        Cost: a flush, then one look at every record of the shards that hold any with a ttl.
        """
        engine = self._live()
        engine.flush()
        removed = 0
        for shard in range(engine.options.shards or 0):
            place: bytes | None = None
            while place != b"":
                here, place = engine.remove_expired(shard, place or b"", self._timeout)
                removed += here
        return removed
