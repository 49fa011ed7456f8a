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

    class TicketBase:
        """What C fills in for a ticket."""

        __slots__ = ()
        _engine: Any
        seqno: int

        def __init__(self, engine: Any, seqno: int) -> None: ...

else:
    _made = load()
    Calls, TicketBase = _made.Calls, _made.TicketBase

NO_CALLS: Final = Calls(0, None)
