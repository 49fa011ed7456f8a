"""How the keys and values of one namespace become bytes, and where they live: the only place that knows both."""

from __future__ import annotations

from typing import Any, Final

from shardkv._native import KEY_BYTES_MAX, RESERVED
from shardkv.codecs import codec_named
from shardkv.errors import ClosedError, KeyTooLongError
from shardkv.keys import key_codec_named
from shardkv.scan import prefix_stop

ID_BYTES: Final = 3
ROOT_BYTES: Final = len(RESERVED) + ID_BYTES
KEY_BYTES_LEFT: Final = KEY_BYTES_MAX - ROOT_BYTES


def root_of(number: int) -> bytes:
    """Return what all keys of an id begin with."""
    return RESERVED + number.to_bytes(ID_BYTES, "big")


class Coder:
    """One namespace as all of its users in this process see it.

    Attributes:
        dropped: nothing is written or read through it any more.
    """

    def __init__(self, name: str, number: int, codec: str, key_codec: str) -> None:
        self.name, self.number, self.codec, self.key_codec = name, number, codec, key_codec
        self.root = root_of(number)
        self.end = prefix_stop(self.root)
        self.dropped = False
        keys, values = key_codec_named(key_codec), codec_named(codec)
        self._encode_key, self._decode_key, self._beginning = (
            keys.encode,
            keys.decode,
            keys.beginning,
        )
        self.encode, self.decode = values.encode, values.decode

    def key(self, key: Any) -> bytes:
        """Return the stored key.

        Raises: TypeError, InvalidError (what the key codec cannot order); KeyTooLongError; ClosedError (dropped).
        """
        if self.dropped:
            raise ClosedError(f"the namespace {self.name!r} was dropped")
        stored = self.root + self._encode_key(key)
        if len(stored) > KEY_BYTES_MAX:
            raise KeyTooLongError(
                f"the key has {len(stored) - ROOT_BYTES} bytes when encoded; at most {KEY_BYTES_LEFT} in a namespace"
            )
        return stored

    def key_of(self, stored: bytes) -> Any:
        """Return the key again."""
        return self._decode_key(stored[ROOT_BYTES:])

    def pair_of(self, row: tuple[bytes, bytes]) -> tuple[Any, Any]:
        """Return key and value of a stored row."""
        return self._decode_key(row[0][ROOT_BYTES:]), self.decode(row[1])

    def pair(self, item: Any) -> tuple[bytes, bytes]:
        """Return what is stored for a key and its value."""
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise TypeError(f"an item must be a pair of key and value, not {type(item).__name__}")
        return self.key(item[0]), self.encode(item[1])

    def bounds(self, start: Any, stop: Any, prefix: Any) -> tuple[bytes, bytes | None]:
        """Return the stored range of a scan.

        Raises: as key.
        """
        first, end = self.root, self.end
        if start is not None:
            first = self.key(start)
        if stop is not None:
            end = self.key(stop)
        if prefix is not None:
            self.key(prefix)
            begin, behind = self._beginning(prefix)
            first = max(first, self.root + begin)
            if behind is not None:
                end = self.root + behind if end is None else min(end, self.root + behind)
        if self.dropped:
            raise ClosedError(f"the namespace {self.name!r} was dropped")
        return first, end
