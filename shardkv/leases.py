"""Leases: the right to do something until a time, for whoever may die while having it.

A lease's record is never deleted, so that its token only grows.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Self

from shardkv.errors import LeaseLostError, LockTimeoutError
from shardkv.expiry import ttl_ms
from shardkv.grants import Grant, lease_key, read, record, take
from shardkv.opened import Opened
from shardkv.options import check_timeout

if TYPE_CHECKING:
    from shardkv.store import Store

# How long a waiter sleeps at most: a clock that jumps, and a lease that expires, ring no bell.
SLICE_S: Final = 0.1


class Returns:
    """Tells those who wait for a lease in this process that one was given back."""

    def __init__(self) -> None:
        self._bell = threading.Condition()
        self.count = 0

    def ring(self) -> None:
        """Wake all who wait."""
        with self._bell:
            self.count += 1
            self._bell.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Wait until more than `seen` were given back, or the time is over."""
        with self._bell:
            if self.count == seen:
                self._bell.wait(timeout)


class Lease:
    """A lease that was granted by `Store.lease`; `with` releases it at the end.

    It ends by itself at `expires_at`, by the store's clock. Give `token` to whatever the lease protects, and let that
    refuse tokens smaller than the largest it has seen: so a holder who slept through the end of its lease does no harm.

    Threads: any.

    Attributes:
        name: the lease.
        token: grows with every grant of a lease of this name, also when the store is opened again.
        expires_at: Unix time in seconds.
    """

    def __init__(
        self, inner: Store, returns: Returns, name: str, ttl_ms: int, grant: Grant
    ) -> None:
        self._inner = inner
        self._returns = returns
        self._ttl_ms = ttl_ms
        self._released = False
        self.name, self.token, self.expires_at = name, grant.token, grant.expires_ms / 1000

    def renew(self, ttl: float | None = None) -> float:
        """Let the lease end `ttl` seconds from now; None: as many as it was asked for with. Return `expires_at`.

        Raises: LeaseLostError: it expired, was released, or somebody else has it; TypeError, InvalidError (ttl);
            ClosedError.
        Cost: a write that is synced.
        """
        lifetime = self._ttl_ms if ttl is None else ttl_ms(ttl)
        self._write(lifetime)
        return self.expires_at

    def release(self) -> None:
        """Give the lease back before it ends.

        Raises: as renew.
        """
        self._write(0)
        self._released = True
        self._returns.ring()

    def held(self) -> bool:
        """Say whether the lease is still this one's, by the store's clock."""
        stored = self._inner.get(lease_key(self.name))
        return stored is not None and self._is_own(read(stored, self.name))

    def _is_own(self, grant: Grant) -> bool:
        return grant.token == self.token and grant.expires_ms > self._inner._engine.clock_ms()

    def _write(self, lifetime_ms: int) -> None:
        """Let it end so many milliseconds from now; 0: release it."""
        key = lease_key(self.name)
        while True:
            entry = self._inner.get_entry(key)
            grant = Grant(0, 0) if entry is None else read(entry.value, self.name)
            if entry is None or not self._is_own(grant):
                raise LeaseLostError(self._why_lost(grant))
            now_ms = self._inner._engine.clock_ms()
            ends = now_ms + lifetime_ms if lifetime_ms else 0
            if self._inner.cas(key, record(Grant(self.token, ends)), entry.version, ack="disk"):
                self.expires_at = (ends or now_ms) / 1000
                return

    def _why_lost(self, grant: Grant) -> str:
        lost = f"the lease {self.name!r} with token {self.token}"
        if grant.token != self.token:
            return f"{lost} was lost: token {grant.token} was granted since"
        return f"{lost} {'expired' if grant.expires_ms else 'was released'}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if self._released:
            return
        try:
            self.release()
        except LeaseLostError:
            if kind is None:  # what the block raised says more
                raise

    def __repr__(self) -> str:
        return f"<shardkv.Lease {self.name!r} token={self.token}>"


class Leasing(Opened):
    """What a store has of leases."""

    @abstractmethod
    def _inner(self) -> Any: ...

    def lease(self, name: str, ttl: float, *, timeout: float | None = 0) -> Lease:
        """Take a lease, from all threads and from later lives of this store: `with store.lease("job", 30) as lease`.

        Args:
            name: 1 to 493 bytes of UTF-8.
            ttl: seconds after which it ends by itself, unless it is renewed.
            timeout: seconds to wait while somebody else has it; None for as long as it takes, 0 not at all.
        Raises: LockTimeoutError: somebody else has it; TypeError, InvalidError; ReadOnlyError; ClosedError; AckError
            (a store with peers): nobody has it.
        Durability: as the store's `ack` says, on disk at least, when this returns: a token is never granted twice.
        Cost: a write that is synced.
        """
        deadline = deadline_of(timeout)
        returns = self._shared.returns
        while True:
            seen = returns.count
            lease, holder_s = self._ask_for_lease(name, ttl)
            if lease is not None:
                return lease
            returns.wait(seen, patience(name, deadline, holder_s))

    def _ask_for_lease(self, name: str, ttl: float) -> tuple[Lease | None, float]:
        """Take a lease if it is free; if not, say how many seconds its holder has it."""
        inner, key = self._inner(), lease_key(name)
        if ttl is None:
            raise TypeError("a lease needs a ttl: it has to end when its holder dies")
        lifetime = ttl_ms(ttl)
        free, grant = take(inner, key, lifetime, name)
        if free:
            return Lease(inner, self._shared.returns, name, lifetime, grant), 0
        return None, max(0, grant.expires_ms - inner._engine.clock_ms()) / 1000


def deadline_of(timeout: float | None) -> float | None:
    """Return when a wait that begins now is over, by the monotonic clock; None: never."""
    return None if timeout is None else time.monotonic() + check_timeout(timeout, "timeout")


def patience(name: str, deadline: float | None, holder_s: float) -> float:
    """Return how many seconds to sleep before asking again.

    Raises: LockTimeoutError: the time is over.
    """
    left = SLICE_S if deadline is None else deadline - time.monotonic()
    if left <= 0:
        raise LockTimeoutError(
            f"somebody else has the lease {name!r}, for another {holder_s:g} s unless it is released"
        )
    return min(left, SLICE_S, holder_s)
