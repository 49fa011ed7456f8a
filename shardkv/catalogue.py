"""The catalogue of namespaces: which there are, under which id, with which codecs.

Source: csrc/FORMAT.md, section 12.
"""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgpack

from shardkv._native import RESERVED
from shardkv.codecs import codec_named
from shardkv.coder import ID_BYTES, KEY_BYTES_LEFT, Coder, root_of
from shardkv.errors import FormatError, FullError, InvalidError, LockOwnerError, ReadOnlyError
from shardkv.keys import key_codec_named
from shardkv.scan import prefix_stop

if TYPE_CHECKING:
    from shardkv.store import Store

CATALOGUE: Final = RESERVED + bytes(ID_BYTES)
NEXT_ID: Final = CATALOGUE + b"\x00"
# An id whose namespace was dropped: what was written while that happened is still to be deleted.
DROPPED: Final = CATALOGUE + b"\x01"
FIRST_NAME: Final = CATALOGUE + b"\x20"
FIRST_ID, LAST_ID = 16, (1 << 8 * ID_BYTES) - 2
NAME_CHARACTERS_MAX: Final = 200


class Catalogue:
    """The namespaces of one store. All that have its directory open in this process share one.

    Every call takes the store as namespaces use it: its calls may meet reserved keys.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.RLock(), False
        self._coders: dict[str, Coder] = {}
        self._tidy = False

    def open(self, inner: Store, name: str, codec: str, key_codec: str) -> Coder:
        """Return a namespace; make it when there is none of that name.

        Raises: InvalidError when it was made with other codecs; ReadOnlyError; FormatError.
        """
        name_key(name)
        codec_named(codec)
        key_codec_named(key_codec)
        coder = self._coders.get(name)
        if coder is None:
            coder = self._found_or_made(inner, name, codec, key_codec)
        if (coder.codec, coder.key_codec) != (codec, key_codec):
            raise InvalidError(
                f"the namespace {name!r} was made with codec {coder.codec!r} and key_codec {coder.key_codec!r}, "
                f"not {codec!r} and {key_codec!r}"
            )
        return coder

    def _found_or_made(self, inner: Store, name: str, codec: str, key_codec: str) -> Coder:
        with self._alone():
            coder = self._coders.get(name) or self._load(inner, name, name_key(name))
            if coder is None:
                coder = self._create(inner, Coder(name, self._next(inner), codec, key_codec))
            self._coders[name] = coder
            return coder

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let in one thread at a time, and that one once.

        Raises: LockOwnerError: a signal handler, or a finalizer, came back here in the midst of a call.
        """
        with self._lock:
            if self._inside:
                raise LockOwnerError(
                    "this thread is already at work on the catalogue of namespaces"
                )
            self._inside = True
            try:
                yield
            finally:
                self._inside = False

    def names(self, inner: Store) -> list[str]:
        """Return the names of all namespaces, in order."""
        found = inner.scan(FIRST_NAME, prefix_stop(CATALOGUE), values=False)
        return [key[len(CATALOGUE) :].decode() for key in found]

    def drop(self, inner: Store, name: str) -> bool:
        """Take a namespace out, then delete its keys, block by block; say whether there was one."""
        entry = name_key(name)
        with self._alone():
            coder = self._coders.get(name) or self._load(inner, name, entry)
            if coder is None:
                return False
            # Both in one: a crash leaves the namespace whole, or its remains to be cleared by the next opening.
            try:
                with inner.batch() as batch:
                    batch.delete(entry)
                    batch.put(DROPPED + coder.root[-ID_BYTES:], b"")
            finally:
                if (
                    inner.get(entry) is None
                ):  # also after an AckError, or Ctrl-C: what is written now would be lost
                    coder.dropped = True
                    self._coders.pop(name, None)
        clear(inner, coder.root)
        return True

    def forked(self) -> None:
        """In a forked child: a thread that had the lock is not here to give it back."""
        self._lock, self._inside = threading.RLock(), False

    def tell(self, key: bytes) -> str:
        """Return how its user knows a key, for an error."""
        coder = self._coder_of(key)
        if coder is None:
            return f"the key {key!r}"
        return f"the key {coder.key_of(key)!r} of namespace {coder.name!r}"

    def tell_range(self, start: bytes | None, stop: bytes | None) -> str:
        """Return how its user knows a range of keys, for an error."""
        coder = self._coder_of(start or b"")
        if coder is None:
            return f"a key between {start!r} and {stop!r}, which were scanned,"
        return f"a key among those that were scanned in namespace {coder.name!r}"

    def _coder_of(self, key: bytes) -> Coder | None:
        coders = list(self._coders.values())
        return next((coder for coder in coders if key.startswith(coder.root)), None)

    def _load(self, inner: Store, name: str, entry: bytes) -> Coder | None:
        if not self._tidy:
            self._clear_dropped(inner)
        stored = inner.get(entry)
        if stored is None:
            return None
        try:
            told = msgpack.unpackb(stored)
            return Coder(name, told["id"], told["codec"], told["key_codec"])
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError(
                f"the catalogue's entry of namespace {name!r} is of another version: {error}"
            ) from error

    def _create(self, inner: Store, coder: Coder) -> Coder:
        if inner._engine.options.readonly:
            raise ReadOnlyError(f"there is no namespace {coder.name!r}, and the store is read-only")
        told = {"id": coder.number, "codec": coder.codec, "key_codec": coder.key_codec}
        with inner.batch() as batch:
            batch.put(name_key(coder.name), msgpack.packb(told))
            batch.put(NEXT_ID, msgpack.packb(coder.number + 1))
        return coder

    def _next(self, inner: Store) -> int:
        stored = inner.get(NEXT_ID)
        number: int = FIRST_ID if stored is None else msgpack.unpackb(stored)
        if number > LAST_ID:
            raise FullError(f"{LAST_ID} namespaces were made in this store; there are no more ids")
        return number

    def _clear_dropped(self, inner: Store) -> None:
        """Finish what an earlier life of the store left: those who wrote to it then are gone."""
        if not inner._engine.options.readonly:
            for key in list(inner.scan(prefix=DROPPED, values=False)):
                clear(inner, root_of(int.from_bytes(key[len(DROPPED) :], "big")))
                inner.delete(key)
        self._tidy = True


def clear(inner: Store, root: bytes) -> None:
    """Delete all keys that begin so, a block at a time; their values are not read."""
    inner.delete_many(inner.scan(prefix=root, values=False))


def name_key(name: Any) -> bytes:
    """Return the key of a namespace's entry.

    Raises: TypeError; InvalidError (no characters, too many, control characters).
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a namespace must be str, not {type(name).__name__}")
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise InvalidError(
            f"the name of a namespace has {len(name)} characters; it must have 1..{NAME_CHARACTERS_MAX}"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InvalidError(f"the name {name!r} holds a control character or half of one")
    encoded = name.encode()
    if len(encoded) > KEY_BYTES_LEFT:
        raise InvalidError(
            f"the name of a namespace has {len(encoded)} bytes of UTF-8; at most {KEY_BYTES_LEFT}"
        )
    return CATALOGUE + encoded
