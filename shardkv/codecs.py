"""Value codecs: typed values as bytes.

| codec | values |
|---|---|
| `msgpack` | None, bool, int of 64 bits, float, str, bytes, list, tuple, dict, aware datetime |
| `bytes` | any bytes-like object, as it is |
| `json` | what comes back from JSON as it went in: None, bool, int, finite float, str, list, dict with str keys |
| `pickle` | what pickle takes. Reading runs what the bytes say: only for stores that nobody else writes |

What is read equals what was stored: where a codec would change a value without a word (a tuple into a list, a subclass
into its base, the key 1 into "1"), it refuses it. Two exceptions: bytes-like objects come back as bytes, and a datetime
comes back in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, Protocol

import msgpack

from shardkv._native import as_bytes
from shardkv.errors import CorruptionError, InvalidError

TUPLE_CODE: Final = 1
# A tuple is packed as an array that begins with this; the bytes say whether a value has any.
TUPLE_MARK: Final = msgpack.ExtType(TUPLE_CODE, b"")
DEPTH_MAX: Final = 512
# What packers raise for a value that they do not take.
REFUSALS: Final = (TypeError, ValueError, OverflowError, RecursionError, BufferError)
TUPLE_BYTES: Final[bytes] = msgpack.packb(TUPLE_MARK)


class Codec(Protocol):
    """How the values of a namespace become bytes."""

    def encode(self, value: Any) -> bytes:
        """Return bytes.

        Raises: TypeError, InvalidError (range), both naming the path inside the value.
        """

    def decode(self, data: bytes) -> Any:
        """Return the value again.

        Raises: CorruptionError for what `encode` does not make.
        """


class BytesCodec:
    """Bytes, as they are."""

    def encode(self, value: Any) -> bytes:
        """Return a copy."""
        if isinstance(value, str):
            raise TypeError("value: str cannot be encoded by codec bytes; encode it first")
        return as_bytes(value, "value")

    def decode(self, data: bytes) -> bytes:
        """Return it as it is."""
        return data


class MsgpackCodec:
    """MessagePack, with tuples as arrays that begin with extension 1. At most 512 levels deep."""

    def __init__(self) -> None:
        # One for each call under way: a packer has a large buffer, and serves one thread at a time.
        self._idle: list[Any] = []

    def encode(self, value: Any) -> bytes:
        """Return MessagePack."""
        try:
            return self._pack(value)
        except REFUSALS:
            raise blame(value, "msgpack", self._pack) from None

    def _pack(self, value: Any) -> bytes:
        try:
            packer = self._idle.pop()
        except IndexError:
            packer = msgpack.Packer(default=_packable, strict_types=True)
        packed: bytes = packer.pack(value)
        self._idle.append(packer)
        return packed

    def decode(self, data: bytes) -> Any:
        """Return the value."""
        try:
            return msgpack.unpackb(
                data,
                ext_hook=_extension,
                list_hook=_list_or_tuple if TUPLE_BYTES in data else None,
                strict_map_key=False,
                timestamp=3,
            )
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise CorruptionError(f"a stored value is no MessagePack: {error}") from error


class JsonCodec:
    """JSON, as UTF-8."""

    def __init__(self) -> None:
        import json
        import marshal

        self._dumps, self._loads = json.dumps, json.loads
        self._refuse_subclasses = marshal.dumps  # takes the very types alone

    def encode(self, value: Any) -> bytes:
        """Return JSON that gives back an equal value."""
        try:
            return self._dump(value)
        except REFUSALS:
            raise blame(value, "json", self._dump) from None

    def _dump(self, value: Any) -> bytes:
        text = self._dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if self._loads(text) != value:
            raise TypeError("it would come back changed")
        self._refuse_subclasses(value)
        return text.encode()

    def decode(self, data: bytes) -> Any:
        """Return the value."""
        try:
            return self._loads(data)
        except ValueError as error:
            raise CorruptionError(f"a stored value is no JSON: {error}") from error


class PickleCodec:
    """Pickle, by name only."""

    def __init__(self) -> None:
        import pickle

        self._pickle = pickle

    def encode(self, value: Any) -> bytes:
        """Return a pickle."""
        try:
            return self._pickle.dumps(value, protocol=5)
        except (self._pickle.PicklingError, AttributeError, RuntimeError, *REFUSALS) as error:
            raise TypeError(f"value: cannot be encoded by codec pickle: {error}") from error

    def decode(self, data: bytes) -> Any:
        """Return what the pickle makes."""
        return self._pickle.loads(data)


CODECS: Final[dict[str, Callable[[], Codec]]] = {
    "msgpack": MsgpackCodec,
    "bytes": BytesCodec,
    "json": JsonCodec,
    "pickle": PickleCodec,
}


def _packable(value: Any) -> Any:
    if type(value) is tuple:
        return [TUPLE_MARK, *value]
    if type(value) is datetime and value.utcoffset() is not None:
        return msgpack.Timestamp.from_datetime(value.astimezone(UTC))
    raise TypeError


def _extension(code: int, data: bytes) -> Any:
    if code == TUPLE_CODE and not data:
        return TUPLE_MARK
    return msgpack.ExtType(code, data)


def _list_or_tuple(items: list[Any]) -> Any:
    return tuple(items[1:]) if items and items[0] is TUPLE_MARK else items


def blame(value: Any, codec: str, encode: Callable[[Any], bytes]) -> Exception:
    """Make the error for a value that cannot be encoded: name the innermost part of it that is to blame."""
    if _too_deep(value):
        return InvalidError(
            f"value: cannot be encoded by codec {codec}: nested too deep, or inside itself"
        )
    path, part = "value", value
    while (found := _part_to_blame(path, part, encode)) is not None:
        path, part = found
    why = describe(part, codec)
    kind = TypeError if why == type(part).__name__ else InvalidError
    return kind(f"{path}: {why} cannot be encoded by codec {codec}")


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH_MAX):
        inner: dict[int, Any] = {}
        for part in level:
            if isinstance(part, (list, tuple, dict)):
                parts = part.values() if isinstance(part, dict) else part
                inner.update((id(one), one) for one in parts)
        level = list(inner.values())
    return bool(level)


def _part_to_blame(path: str, whole: Any, encode: Callable[[Any], bytes]) -> tuple[str, Any] | None:
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(whole, (list, tuple)):
        parts = ((f"{path}[{i}]", part) for i, part in enumerate(whole))
    elif isinstance(whole, dict):
        keys = ((f"{path}, its key {key!r}", key) for key in whole)
        parts = chain(keys, ((f"{path}[{key!r}]", part) for key, part in whole.items()))
    for found in parts:
        try:
            encode(found[1])
        except REFUSALS:
            return found
    return None


def describe(part: Any, codec: str) -> str:
    """Say what is wrong with a part; its type's name when that is what is wrong."""
    if type(part) is int:
        return f"an int of {part.bit_length()} bits"
    if type(part) is float:
        return f"the float {part}"
    if type(part) is str:
        return "text with a lone surrogate"
    if type(part) is datetime and codec == "msgpack":
        naive = part.utcoffset() is None
        return "a datetime without a timezone" if naive else "a datetime outside years 1..9999 UTC"
    return type(part).__name__


def codec_named(name: str) -> Codec:
    """Return a value codec.

    Raises: TypeError, InvalidError.
    """
    if not isinstance(name, str):
        raise TypeError(f"codec must be the name of one, not {type(name).__name__}")
    if name not in CODECS:
        raise InvalidError(f"codec is {name!r}; it must be one of {', '.join(CODECS)}")
    return CODECS[name]()
