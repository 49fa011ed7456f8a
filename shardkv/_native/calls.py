"""The second door into the compiled module: csrc/python/calls.c, for what is called a million times."""

from __future__ import annotations

from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from shardkv import _core

NAME: Final = "shardkv._calls"


def load() -> ModuleType:
    """Load the module that lies beside cffi's in the same shared object."""
    path: Any = _core.__file__
    loader = ExtensionFileLoader(NAME, path)
    spec = spec_from_file_location(NAME, path, loader=loader)
    if spec is None:
        raise ImportError(f"{path} holds no module {NAME}")
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Generator

    class Calls:
        """One store's calls. Each answers only the plain case; the rest goes the way through cffi."""

        def __init__(self, address: int, owner: Any, flags: int = 0) -> None: ...

        def get(self, key: bytes, /) -> Any:
            """Return the value, None when it is absent, NotImplemented for the other way."""

        def put(self, key: bytes, value: bytes, ack: int, /) -> int:
            """Return the seqno; 0: nothing was appended; negative: wait for minus it."""
            raise NotImplementedError

        def submit(self, key: bytes, value: bytes, kind: type[Any], engine: Any, /) -> Any:
            """Return kind(engine, seqno); None: nothing was appended."""

        def put_many(self, items: object, ack: int, /) -> int:
            """Return as put."""
            raise NotImplementedError

        def get_entry(self, key: bytes, /) -> Any:
            """Return (value, version, expires_ms), None when it is absent, NotImplemented for the other way."""

        def put_if(self, key: bytes, value: bytes, version: int, ack: int, /) -> int | None:
            """Return as put; None when the key has another version."""

        def incr(self, key: bytes, delta: int, initial: int, ack: int, number: int, /) -> Any:
            """Return the sum; (sum, seqno): wait for it; NotImplemented: nothing was appended."""

        def scan(
            self,
            snapshot: int,
            start: bytes | None,
            stop: bytes | None,
            flags: int,
            rows_max: int,
            bytes_max: int,
            /,
        ) -> Any:
            """Return a flat list of the first rows, the address of the scan that has the rest, the seqno to wait for.

            Address 0: these are all. NotImplemented: nothing was begun.
            """

        def rows(self, address: int, count: int, /) -> list[bytes]:
            """Return the flat list of keys and values that a scan left in the workspace there."""
            raise NotImplementedError

    class TicketBase:
        """What C fills in for a ticket."""

        __slots__ = ()
        _engine: Any
        seqno: int

        def __init__(self, engine: Any, seqno: int) -> None: ...

    class Wait:
        """One task's wait for a seqno, to be awaited once."""

        seqno: int

        def __await__(self) -> Generator[Any, None, None]: ...

        def fail(self, error: BaseException, /) -> None:
            """End the wait with an exception."""

    class Waits:
        """The waits of one loop's tasks, in the order in which they came."""

        first: int

        def __init__(self, loop: AbstractEventLoop, kind: type[Wait], /) -> None: ...

        def __len__(self) -> int: ...

        def wait(self, seqno: int, /) -> Wait:
            """Return a new last one, to be awaited."""
            raise NotImplementedError

        def resolve(self, durable: int, /) -> None:
            """Wake those in front that wait for no more than that. Never from a task."""

        def pop(self) -> Wait:
            """Take the first one out."""
            raise NotImplementedError

else:
    _made = load()
    Calls, TicketBase, Wait, Waits = _made.Calls, _made.TicketBase, _made.Wait, _made.Waits

NO_CALLS: Final = Calls(0, None)
