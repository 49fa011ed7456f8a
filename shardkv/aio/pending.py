"""What can be awaited and entered: `await x`, `async with x as y`, `async with await x as y`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """Something that is closed when a block ends."""

    def close(self) -> Awaitable[None]:
        """Close it."""
        ...


C = TypeVar("C", bound=Closable)


class Pending(Generic[C]):
    """Something about to be opened: awaiting it opens it; a block opens it and closes it at its end."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, C]]) -> None:
        self._make = make
        self._made: C | None = None

    def __await__(self) -> Generator[Any, None, C]:
        return self._make().__await__()

    async def __aenter__(self) -> C:
        self._made = await self._make()
        return self._made

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._made is not None:
            await self._made.close()
