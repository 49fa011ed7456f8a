"""What tuple keys are made of: elements whose bytes sort as they do, one after the other.

An element is a code, then: for text and bytes, each zero followed by 0xff, and an end mark; for a number its digits,
big-endian, as many as the code says; for a tuple its elements and an end mark.

Source: FoundationDB, design/tuple.md.
"""

from __future__ import annotations

from typing import Any, Final

from shardkv.errors import CorruptionError, InvalidError, KeyTooLongError

END: Final = 0x00
BYTES: Final = 0x01
STR: Final = 0x02
TUPLE: Final = 0x05
ZERO: Final = 0x14
# A number of up to 8 bytes says how many in its code, counted from ZERO; a longer one in a byte of its own.
LONG_NEGATIVE: Final = 0x0B
LONG_POSITIVE: Final = 0x1D
SHORT_INT_BYTES: Final = 8
INT_BYTES_MAX: Final = 255
# Each level takes two bytes of a key: no deeper one fits.
DEPTH_MAX: Final = 250


def utf8(key: str, path: str) -> bytes:
    """Return the UTF-8 of a text."""
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise InvalidError(
            f"{path}: a lone surrogate at position {error.start} cannot be in a key: it is half of a character"
        ) from None


def text(data: bytes) -> str:
    """Return the text of UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise foreign(data) from None


def pack_int(key: int, path: str) -> bytes:
    """Return a number's code and digits; those of a negative one complemented, so that they sort."""
    width = (key.bit_length() + 7) // 8
    if width > INT_BYTES_MAX:
        raise InvalidError(f"{path}: an int of {key.bit_length()} bits; a key has at most 2040")
    digits = key if key >= 0 else key + (1 << 8 * width) - 1
    if width <= SHORT_INT_BYTES:
        code = bytes([ZERO + width if key >= 0 else ZERO - width])
    else:
        code = bytes([LONG_POSITIVE, width] if key >= 0 else [LONG_NEGATIVE, 255 - width])
    return code + digits.to_bytes(width, "big")


def unpack_int(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a position, and where it ends."""
    code = data[at]
    at += 1
    if code in (LONG_NEGATIVE, LONG_POSITIVE):
        if at == len(data):
            raise foreign(data)
        width = data[at] if code == LONG_POSITIVE else 255 - data[at]
        at += 1
    else:
        width = abs(code - ZERO)
    digits = data[at : at + width]
    if len(digits) != width:
        raise foreign(data)
    number = int.from_bytes(digits, "big")
    return number if code >= ZERO else number - (1 << 8 * width) + 1, at + width


def pack_elements(key: tuple[Any, ...], path: str, depth: int, out: bytearray) -> None:
    """Append the elements of a tuple."""
    if depth > DEPTH_MAX:
        raise KeyTooLongError(f"the key has tuples inside each other, more than {DEPTH_MAX} deep")
    for i, element in enumerate(key):
        if isinstance(element, str):
            out.append(STR)
            out += utf8(element, f"{path}[{i}]").replace(b"\0", b"\0\xff")
            out.append(END)
        elif isinstance(element, int) and not isinstance(element, bool):
            out += pack_int(element, f"{path}[{i}]")
        elif isinstance(element, (bytes, bytearray, memoryview)):
            out.append(BYTES)
            out += bytes(element).replace(b"\0", b"\0\xff")
            out.append(END)
        elif isinstance(element, tuple):
            out.append(TUPLE)
            pack_elements(element, f"{path}[{i}]", depth + 1, out)
            out.append(END)
        else:
            raise refused(f"{path}[{i}]", element, "str, int, bytes and tuples of them")


def whole_tuple(data: bytes, at: int) -> tuple[Any, ...]:
    """Return the tuple that goes from a position to the end."""
    elements = []
    while at < len(data):
        element, at = unpack_element(data, at)
        elements.append(element)
    return tuple(elements)


def unpack_element(data: bytes, at: int) -> tuple[Any, int]:
    """Return the element at a position, and where it ends."""
    code = data[at]
    if code in (STR, BYTES):
        end = string_end(data, at + 1)
        raw = data[at + 1 : end].replace(b"\0\xff", b"\0")
        return (text(raw) if code == STR else raw), end + 1
    if LONG_NEGATIVE <= code <= LONG_POSITIVE:
        return unpack_int(data, at)
    if code != TUPLE:
        raise foreign(data)
    elements, at = [], at + 1
    while at < len(data) and data[at] != END:
        element, at = unpack_element(data, at)
        elements.append(element)
    if at == len(data):
        raise foreign(data)
    return tuple(elements), at + 1


def string_end(data: bytes, at: int) -> int:
    """Return where the end mark is: the first zero that 0xff does not follow."""
    while (at := data.find(END, at)) >= 0:
        if data[at + 1 : at + 2] != b"\xff":
            return at
        at += 2
    raise foreign(data)


def refused(path: str, key: object, wanted: str) -> TypeError:
    """Make the error for what is no key."""
    return TypeError(f"{path}: {type(key).__name__} cannot be ordered as a key; keys are {wanted}")


def foreign(data: bytes) -> CorruptionError:
    """Make the error for bytes that no key codec made."""
    return CorruptionError(f"{data[:32].hex(' ')} is no encoded key")
