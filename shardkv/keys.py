"""Key codecs: typed keys as bytes that sort as the keys do.

| codec | keys | order |
|---|---|---|
| `auto` | bytes, str, tuples, int, mixed | all bytes, then all str, all tuples, all int; inside a type by value |
| `tuple` | tuples of bytes, str, int, tuples | by element, each as in `auto`; a tuple before those that it begins |
| `str` | any text without lone surrogates | by code point |
| `int` | more than -2**2040, less than 2**2040 | by value |
| `bytes` | any bytes-like object | by byte |

Nothing else is a key. bool is refused although it is an int: True and 1 would be one key. So are float and None.

Source: the elements are those of FoundationDB's tuple layer (design/tuple.md). A str or bytes that is the whole key has
neither escapes nor an end mark; a tuple that is the whole key has no end mark.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from shardkv.elements import (
    BYTES,
    LONG_NEGATIVE,
    LONG_POSITIVE,
    STR,
    TUPLE,
    foreign,
    pack_elements,
    pack_int,
    refused,
    text,
    unpack_int,
    utf8,
    whole_tuple,
)
from shardkv.errors import InvalidError
from shardkv.scan import prefix_stop

Range = tuple[bytes, bytes | None]


class KeyCodec(Protocol):
    """How the keys of a namespace become bytes."""

    def encode(self, key: Any) -> bytes:
        """Return bytes that sort as the keys do.

        Raises: TypeError naming the path inside the key; InvalidError; KeyTooLongError.
        """

    def decode(self, data: bytes) -> Any:
        """Return the key again.

        Raises: CorruptionError for what `encode` does not make.
        """

    def beginning(self, prefix: Any) -> Range:
        """Return the range of the bytes of all keys that begin with `prefix`: first, and behind the last.

        Raises: as encode; TypeError when such keys have no beginnings.
        """


class BytesKeys:
    """Any bytes, as they are."""

    def encode(self, key: Any) -> bytes:
        """Return a copy."""
        if isinstance(key, (bytes, bytearray, memoryview)):
            return bytes(key)
        raise refused("key", key, "bytes")

    def decode(self, data: bytes) -> bytes:
        """Return it as it is."""
        return data

    def beginning(self, prefix: Any) -> Range:
        """Return the range of what begins so."""
        return begun(self.encode(prefix))


class StrKeys:
    """Text, as UTF-8: its bytes sort as its code points."""

    def encode(self, key: Any) -> bytes:
        """Return its UTF-8."""
        if isinstance(key, str):
            return utf8(key, "key")
        raise refused("key", key, "str")

    def decode(self, data: bytes) -> str:
        """Return the text."""
        return text(data)

    def beginning(self, prefix: Any) -> Range:
        """Return the range of what begins so."""
        return begun(self.encode(prefix))


class IntKeys:
    """Whole numbers."""

    def encode(self, key: Any) -> bytes:
        """Return code and digits."""
        if isinstance(key, int) and not isinstance(key, bool):
            return pack_int(key, "key")
        raise refused("key", key, "int")

    def decode(self, data: bytes) -> int:
        """Return the number."""
        if not data or not LONG_NEGATIVE <= data[0] <= LONG_POSITIVE:
            raise foreign(data)
        number, end = unpack_int(data, 0)
        if end != len(data):
            raise foreign(data)
        return number

    def beginning(self, prefix: Any) -> Range:
        """Raise TypeError."""
        raise TypeError(
            "numbers do not begin with each other: use start and stop instead of prefix"
        )


class TupleKeys:
    """Tuples of bytes, str, int and tuples."""

    def encode(self, key: Any) -> bytes:
        """Return its elements, one after the other."""
        if isinstance(key, tuple):
            out = bytearray()
            pack_elements(key, "key", 0, out)
            return bytes(out)
        raise refused("key", key, "tuple")

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Return the tuple."""
        return whole_tuple(data, 0)

    def beginning(self, prefix: Any) -> Range:
        """Return the range of the tuples that begin with these elements."""
        return continued(self.encode(prefix))


class AutoKeys:
    """Keys of all types in one namespace."""

    def encode(self, key: Any) -> bytes:
        """Return the code of its type and what follows."""
        if isinstance(key, str):
            return b"\x02" + utf8(key, "key")
        if isinstance(key, tuple):
            out = bytearray([TUPLE])
            pack_elements(key, "key", 0, out)
            return bytes(out)
        if isinstance(key, int) and not isinstance(key, bool):
            return pack_int(key, "key")
        if isinstance(key, (bytes, bytearray, memoryview)):
            return b"\x01" + bytes(key)
        raise refused("key", key, "str, int, bytes and tuples of them")

    def decode(self, data: bytes) -> Any:
        """Return the key."""
        code = data[0] if data else None
        if code == STR:
            return text(data[1:])
        if code == TUPLE:
            return whole_tuple(data, 1)
        if code == BYTES:
            return data[1:]
        return INT.decode(data)

    def beginning(self, prefix: Any) -> Range:
        """Return the range of the keys of that type that begin so."""
        if isinstance(prefix, int) and not isinstance(prefix, bool):
            return INT.beginning(prefix)
        start = self.encode(prefix)
        return continued(start) if isinstance(prefix, tuple) else begun(start)


def begun(start: bytes) -> Range:
    """Return the range of all bytes that begin so."""
    return start, prefix_stop(start)


def continued(start: bytes) -> Range:
    """Return the range of the tuples whose bytes begin so.

    The next element's code is below 0xff, which would belong to a longer text at the end of the beginning.
    """
    return start, start + b"\xff"


INT: Final = IntKeys()
KEY_CODECS: Final[dict[str, KeyCodec]] = {
    "auto": AutoKeys(),
    "tuple": TupleKeys(),
    "str": StrKeys(),
    "int": INT,
    "bytes": BytesKeys(),
}


def key_codec_named(name: str) -> KeyCodec:
    """Return a key codec.

    Raises: TypeError, InvalidError.
    """
    if not isinstance(name, str):
        raise TypeError(f"key_codec must be the name of one, not {type(name).__name__}")
    if name not in KEY_CODECS:
        raise InvalidError(f"key_codec is {name!r}; it must be one of {', '.join(KEY_CODECS)}")
    return KEY_CODECS[name]
