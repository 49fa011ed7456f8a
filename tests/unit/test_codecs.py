"""Value codecs: what comes back equals what went in, or is refused by its path."""

from __future__ import annotations

import collections
import ctypes
import enum
import multiprocessing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as some

from shardkv.codecs import CODECS, codec_named
from shardkv.errors import CorruptionError, InvalidError

NAN = float("nan")
texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=5)
numbers = some.floats(allow_nan=False)
finite = some.floats(allow_nan=False, allow_infinity=False)
moments = some.datetimes(timezones=some.just(UTC) | some.just(timezone(timedelta(hours=-3))))
moments = moments.filter(lambda at: 1 < at.year < 9999)
hashable = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**64 - 1) | numbers | texts,
    lambda inner: some.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
packable = some.recursive(
    hashable | some.binary(max_size=5) | moments,
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.lists(inner, max_size=4).map(tuple)
        | some.dictionaries(hashable, inner, max_size=4)
    ),
)
jsonable = some.recursive(
    some.none() | some.booleans() | some.integers() | finite | texts,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(texts, inner, max_size=4),
)


class Colour(enum.IntEnum):
    RED = 1


class Word(str):
    pass


Pair = collections.namedtuple("Pair", "a b")


def alike(a: Any, b: Any) -> bool:
    """Compare types as well as values: [1] is not (1,), and 1 is not True."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return alike(list(a.items()), list(b.items()))
    return bool(a == b)


@given(packable)
def test_msgpack_gives_back_what_it_took(value: Any) -> None:
    codec = codec_named("msgpack")
    assert alike(codec.decode(codec.encode(value)), value)


@given(jsonable)
def test_json_gives_back_what_it_took(value: Any) -> None:
    codec = codec_named("json")
    assert alike(codec.decode(codec.encode(value)), value)


def test_pickle_takes_what_the_others_refuse() -> None:
    codec = codec_named("pickle")
    for value in ({1, 2}, Pair(1, 2), Colour.RED, datetime(2020, 1, 1), 2**100, NAN):
        assert repr(codec.decode(codec.encode(value))) == repr(value)
    for value in (lambda: 1, ctypes.pointer(ctypes.c_int()), multiprocessing.Lock()):
        with pytest.raises(TypeError, match="value: cannot be encoded by codec pickle"):
            codec.encode({"a": value})


def test_bytes_go_through_as_they_are() -> None:
    codec = codec_named("bytes")
    assert codec.decode(codec.encode(memoryview(b"\0\xff"))) == b"\0\xff"
    with pytest.raises(TypeError, match="value: str cannot be encoded by codec bytes"):
        codec.encode("a")
    with pytest.raises(TypeError, match="value must be bytes-like"):
        codec.encode(1)


def test_a_datetime_comes_back_in_utc_to_the_microsecond() -> None:
    codec = codec_named("msgpack")
    at = datetime(1969, 7, 20, 20, 17, 40, 999999, tzinfo=timezone(timedelta(hours=-5, minutes=30)))
    back = codec.decode(codec.encode(at))
    assert back == at
    assert back.tzinfo is UTC


def test_bytes_like_values_come_back_as_bytes() -> None:
    codec = codec_named("msgpack")
    assert codec.decode(codec.encode([bytearray(b"a"), memoryview(b"b")])) == [b"a", b"b"]


LOOP: list[Any] = []
LOOP.append({"again": LOOP})
EDGE = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    ("msgpack", {1, 2}, TypeError, "value: set cannot be encoded by codec msgpack"),
    ("msgpack", {"a": [0, 1, 2, {3}]}, TypeError, r"value\['a'\]\[3\]: set cannot"),
    ("msgpack", {"a": ((), (object(),))}, TypeError, r"value\['a'\]\[1\]\[0\]: object cannot"),
    ("msgpack", {(1, frozenset()): 1}, TypeError, r"value, its key .*\[1\]: frozenset cannot"),
    ("msgpack", [2**64], InvalidError, r"value\[0\]: an int of 65 bits"),
    ("msgpack", [-(2**63) - 1], InvalidError, r"value\[0\]: an int of 64 bits"),
    ("msgpack", ["ok", "\ud800"], InvalidError, r"value\[1\]: text with a lone surrogate"),
    ("msgpack", datetime(2020, 1, 1), InvalidError, "value: a datetime without a timezone"),
    ("msgpack", [EDGE], InvalidError, r"value\[0\]: a datetime outside years 1..9999 UTC"),
    ("msgpack", Colour.RED, TypeError, "value: Colour cannot"),
    ("msgpack", [Pair(1, 2)], TypeError, r"value\[0\]: Pair cannot"),
    ("msgpack", collections.OrderedDict(a=1), TypeError, "value: OrderedDict cannot"),
    ("msgpack", 1j, TypeError, "value: complex cannot"),
    ("msgpack", LOOP, InvalidError, "nested too deep, or inside itself"),
    ("msgpack", {"a": [memoryview(b"abc")[::2]]}, TypeError, r"value\['a'\]\[0\]: memoryview"),
    ("json", {"a": (1,)}, TypeError, r"value\['a'\]: tuple cannot be encoded by codec json"),
    ("json", [{1: "a"}], TypeError, r"value\[0\]: dict cannot be encoded by codec json"),
    ("json", [b"a"], TypeError, r"value\[0\]: bytes cannot be encoded by codec json"),
    ("json", [float("inf")], InvalidError, r"value\[0\]: the float inf"),
    ("json", [1, NAN], InvalidError, r"value\[1\]: the float nan"),
    ("json", {"a": "\ud800"}, InvalidError, r"value\['a'\]: text with a lone surrogate"),
    ("json", [datetime(2020, 1, 1, tzinfo=UTC)], TypeError, r"value\[0\]: datetime cannot"),
    ("json", collections.OrderedDict(a=1), TypeError, "value: OrderedDict cannot"),
    ("json", {"a": [Colour.RED]}, TypeError, r"value\['a'\]\[0\]: Colour cannot"),
    ("json", {Word("a"): 1}, TypeError, "value, its key 'a': Word cannot"),
    ("json", LOOP, InvalidError, "nested too deep, or inside itself"),
]


@pytest.mark.parametrize(("codec", "value", "kind", "text"), REFUSED)
def test_what_cannot_be_encoded_is_named_by_its_path(
    codec: str, value: Any, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught:
        codec_named(codec).encode(value)
    assert type(caught.value) is kind


def test_a_codec_that_refused_one_value_takes_the_next() -> None:
    codec = codec_named("msgpack")
    with pytest.raises(TypeError):
        codec.encode(["x" * 100, {1}])
    assert codec.decode(codec.encode(["y"])) == ["y"]


@pytest.mark.parametrize("depth", [1, 100, 500, 100_000])
@pytest.mark.parametrize("nest", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}])
@pytest.mark.parametrize("name", ["msgpack", "json"])
def test_depth_comes_back_or_is_refused(depth: int, nest: Any, name: str) -> None:
    codec, value = codec_named(name), 1
    for _ in range(depth):
        value = nest(value)
    try:
        data = codec.encode(value)
    except (InvalidError, TypeError):
        assert depth > 500 or (name == "json" and isinstance(value, tuple))
    else:
        assert codec.decode(data) == value


@pytest.mark.parametrize("name", ["msgpack", "json"])
@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91", b"1 2", b"\xff\xff", b"\x81\x90\x01"])
def test_what_no_codec_made_is_damage(name: str, data: bytes) -> None:
    with pytest.raises(CorruptionError, match="a stored value is no"):
        codec_named(name).decode(data)


def test_other_readers_of_msgpack_see_a_tuple_as_a_marked_array() -> None:
    packed = codec_named("msgpack").encode((1, "a"))
    assert msgpack.unpackb(packed) == [msgpack.ExtType(1, b""), 1, "a"]


def test_a_codec_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(
        InvalidError, match="'yaml'; it must be one of msgpack, bytes, json, pickle"
    ):
        codec_named("yaml")
    with pytest.raises(TypeError, match="not int"):
        codec_named(1)  # type: ignore[arg-type]
    assert list(CODECS) == ["msgpack", "bytes", "json", "pickle"]
