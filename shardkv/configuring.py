"""Settings: what can be changed while a store is open, and is kept by it."""

from __future__ import annotations

from shardkv.opened import Opened
from shardkv.options import Settings, check_numbers


class Configuring(Opened):
    """What a store has of settings."""

    def configure(
        self,
        *,
        max_writes_per_s: int | None = None,
        max_bytes_per_s: int | None = None,
        retain_log_bytes: int | None = None,
        unflushed_bytes: int | None = None,
    ) -> Settings:
        """Change settings, at once and for good: the store keeps them when it is opened again. Return all of them.

        A write over a limit waits for its turn, up to `write_timeout`, then gets OverloadedError; threads are served in
        the order in which they came. A tenth of a second's worth that was not used may be made up for at once. A batch
        counts each of its records; one that is larger than that goes when the line is free, and what follows waits.

        Args: as Settings has them; None leaves a setting as it is.
        Raises: TypeError, InvalidError, ReadOnlyError, ClosedError; FullError, DiskError: nothing has changed, but the
            next open may find the new settings.
        Durability: the settings are on disk when this returns.
        Cost: a dozen file calls.
        """
        given = {
            "max_writes_per_s": max_writes_per_s,
            "max_bytes_per_s": max_bytes_per_s,
            "retain_log_bytes": retain_log_bytes,
            "unflushed_bytes": unflushed_bytes,
        }
        check_numbers(given)
        engine = self._live()
        if any(value is not None for value in given.values()):
            engine.configure(given)
        return engine.settings()
