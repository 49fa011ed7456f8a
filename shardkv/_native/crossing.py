"""What crosses the boundary: bytes in, packed batches in, a reusable workspace out."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgpack

from shardkv import errors
from shardkv._core import ffi, lib

WORKSPACE_BYTES = 64 << 10
WORKSPACE_BYTES_KEPT = 1 << 20
# What the packer raises for what is no bytes-like object.
REFUSALS: Final = (TypeError, ValueError, OverflowError, BufferError)

_packed: Final[Callable[[object], bytes]] = msgpack.packb


def as_bytes(value: object, what: str) -> bytes:
    """Copy a bytes-like object.

    Raises: TypeError for anything else; for str it points to namespaces.
    """
    if isinstance(value, str):
        raise TypeError(
            f"the {what} is str, but a store holds bytes: encode it, or use store.namespace() for typed "
            "keys and values"
        )
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"the {what} must be bytes-like, not {type(value).__name__}")
    return bytes(value)


def pack(items: Iterable[object]) -> bytes:
    """Encode a batch or a list of keys for one crossing.

    Raises: WrongTypeError, `offset` is the number of the item, when something in it is no bytes-like object.
    """
    try:
        return _packed(items)
    except REFUSALS:
        for number, item in enumerate(items):
            try:
                _packed(item)
            except REFUSALS as error:
                what = "; copy a memoryview with bytes()" if type(error) is BufferError else ""
                raise errors.WrongTypeError(
                    f"item {number}: {error}{what}", offset=number
                ) from None
        raise


@contextlib.contextmanager
def after(count: int) -> Iterator[None]:
    """Let an error that names an item of a chunk count those before the chunk, too."""
    try:
        yield
    except errors.WrongTypeError as error:
        error.offset += count
        error.args = (f"item {error.offset}:{error.args[0].partition(':')[2]}",)
        raise


def owned(pointer: Any, free: Callable[[Any], None], *kept: Any) -> Any:
    """Give a C object to the garbage collector; what it was made from stays alive until it is freed."""
    made: list[Any] = []
    own(made, pointer, free, *kept)
    return made[0]


def own(made: list[Any], pointer: Any, free: Callable[[Any], None], *kept: Any) -> None:
    """Add a C object that is `owned` to a list; if a Ctrl-C is raised here, it is not owned, or in the list."""
    release = functools.partial(
        free
    )  # no Python of ours, in which a Ctrl-C would be raised, and get lost
    vars(release)["kept"] = kept
    made.extend(map(ffi.gc, [pointer], [release]))  # C puts it into the list


def begun(free: Callable[[Any], None], call: Callable[..., Any], *args: Any) -> Any:
    """Make a call that may take long and returns a C object, NULL for none.

    A Ctrl-C that came meanwhile is raised as the call returns, before Python sees the object: it is freed then.
    """
    made: list[Any] = []
    with contextlib.ExitStack() as undo:
        undo.callback(lambda: list(map(free, made)))
        made.extend(map(call, *([arg] for arg in args)))  # C puts it into the list
        undo.pop_all()
    return made[0]


class Workspace:
    """A reusable skv_io with a cached view of its buffer."""

    __slots__ = ("c", "capacity", "view")

    def __init__(self, flags: int = 0) -> None:
        made = lib.skv_io_new(WORKSPACE_BYTES)
        if made == ffi.NULL:
            raise errors.OutOfMemoryError("out of memory: no workspace for a call")
        self.c = owned(made, lib.skv_io_free)
        self.c.flags = flags
        self.refresh()

    def refresh(self) -> None:
        """Look at the buffer anew: C may have replaced it with a larger one."""
        self.capacity: int = self.c.capacity
        self.view = ffi.buffer(self.c.data, self.capacity)

    def data(self) -> bytes:
        """Copy what the last call left in the buffer."""
        if self.c.capacity != self.capacity:
            self.refresh()
        return self.view[: self.c.bytes]  # type: ignore[no-any-return]
