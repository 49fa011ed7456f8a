"""Key codecs: what they refuse, their bounds, and their bytes."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from shardkv.errors import CorruptionError, InvalidError, KeyTooLongError
from shardkv.keys import KEY_CODECS, key_codec_named

BIG = 2**2040
TAKES: dict[str, tuple[type, ...]] = {
    "auto": (str, int, bytes, tuple),
    "tuple": (tuple,),
    "str": (str,),
    "int": (int,),
    "bytes": (bytes,),
}
KEYS: list[Any] = ["a", 1, b"a", ("a",), True, None, 1.0, ["a"], {"a"}, object()]


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize("codec", TAKES)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
def test_a_codec_takes_its_types_and_refuses_all_others(codec: str, key: Any) -> None:
    coder = KEY_CODECS[codec]
    if type(key) in TAKES[codec]:
        assert coder.decode(coder.encode(key)) == key
        return
    with pytest.raises(TypeError, match=f"key: {type(key).__name__} cannot be ordered"):
        coder.encode(key)


def test_true_and_one_are_not_one_key() -> None:
    for codec in ("auto", "int"):
        with pytest.raises(TypeError, match="bool"):
            KEY_CODECS[codec].encode(True)
    with pytest.raises(TypeError, match=r"key\[0\]\[1\]: bool"):
        KEY_CODECS["tuple"].encode(((1, True),))


def test_the_bound_of_a_number_is_told() -> None:
    for number in (BIG - 1, 1 - BIG):
        assert KEY_CODECS["int"].decode(KEY_CODECS["int"].encode(number)) == number
    for number in (BIG, -BIG):
        with pytest.raises(InvalidError, match="key: an int of 2041 bits"):
            KEY_CODECS["int"].encode(number)
    with pytest.raises(InvalidError, match=r"key\[1\]: an int of 2041 bits"):
        KEY_CODECS["auto"].encode(("a", BIG))


def test_tuples_too_deep_for_any_key_are_refused() -> None:
    """A million of them would otherwise end in the interpreter's own recursion error."""
    key: Any = ()
    for _ in range(200):
        key = (key,)
    assert KEY_CODECS["auto"].decode(KEY_CODECS["auto"].encode(key)) == key
    for _ in range(100_000):
        key = (key,)
    with pytest.raises(KeyTooLongError, match="deep"):
        KEY_CODECS["auto"].encode(key)


def test_bytes_like_keys_come_back_as_bytes_and_subclasses_as_their_base() -> None:
    auto = KEY_CODECS["auto"]
    assert auto.decode(auto.encode(bytearray(b"a"))) == b"a"
    assert auto.decode(auto.encode((memoryview(b"a"), Colour.RED))) == (b"a", 1)
    assert KEY_CODECS["bytes"].encode(memoryview(b"a")) == b"a"


@pytest.mark.parametrize(
    ("codec", "key", "data"),
    [
        ("auto", "a\0b", "02 61 00 62"),
        ("auto", b"a\0b", "01 61 00 62"),
        ("auto", ("a\0b", b"\0"), "05 02 61 00 ff 62 00 01 00 ff 00"),
        ("auto", (("a",), ()), "05 05 02 61 00 00 05 00"),
        ("tuple", ("a", 1), "02 61 00 15 01"),
        ("tuple", (), ""),
        ("int", 0, "14"),
        ("int", 255, "15 ff"),
        ("int", -1, "13 fe"),
        ("int", 2**64 - 1, "1c ff ff ff ff ff ff ff ff"),
        ("int", 2**64, "1d 09 01 00 00 00 00 00 00 00 00"),
        ("int", -(2**64), "0b f6 fe ff ff ff ff ff ff ff ff"),
        ("str", "é", "c3 a9"),
        ("bytes", b"\0\xff", "00 ff"),
    ],
)
def test_the_bytes_of_a_key_never_change(codec: str, key: Any, data: str) -> None:
    assert KEY_CODECS[codec].encode(key).hex(" ") == data
    assert KEY_CODECS[codec].decode(bytes.fromhex(data)) == key


def test_numbers_have_no_prefix() -> None:
    for codec in ("int", "auto"):
        with pytest.raises(TypeError, match="start and stop"):
            KEY_CODECS[codec].beginning(1)
    with pytest.raises(TypeError, match="bool"):
        KEY_CODECS["auto"].beginning(True)


@pytest.mark.parametrize("key", [("a\0", b"b"), (1000, 2**70), (("a",), "b"), -(2**70), 5])
def test_half_a_key_is_damage_unless_it_is_a_shorter_key(key: Any) -> None:
    auto = KEY_CODECS["auto"]
    data = auto.encode(key)
    for end in range(len(data)):
        try:
            half = auto.decode(data[:end])
        except CorruptionError:
            continue
        assert auto.encode(half) == data[:end]


def test_damage_is_shown() -> None:
    with pytest.raises(CorruptionError, match="2a 2a is no encoded key"):
        KEY_CODECS["int"].decode(b"**")


def test_a_codec_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InvalidError, match="'utf8'; it must be one of auto, tuple, str, int"):
        key_codec_named("utf8")
    with pytest.raises(TypeError, match="not NoneType"):
        key_codec_named(None)  # type: ignore[arg-type]
