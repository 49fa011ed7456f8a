"""Key codecs: the bytes sort as the keys do, come back as they were, and begin as their prefixes do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from shardkv.errors import CorruptionError, Error, InvalidError
from shardkv.keys import KEY_CODECS

texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=12) | some.sampled_from(
    ["", "\0", "\0\0", "a\0", "a", "a\x01", "\x7f", "\x80", "\uffff", "\U00010000", "ü"]
)
blobs = some.binary(max_size=12) | some.sampled_from(
    [b"", b"\0", b"\0\0", b"\0\xff", b"a", b"a\0", b"\xff", b"\xff\xff", b"\0\x01"]
)
EDGES = [sign * (256**n + k) for n in range(12) for k in (-1, 0, 1) for sign in (1, -1)]
numbers = (
    some.integers(-(2**70), 2**70)
    | some.sampled_from(EDGES)
    | some.integers(-(2**2040) + 1, 2**2040 - 1)
)
plain = texts | blobs | numbers
elements = some.recursive(plain, lambda inner: some.lists(inner, max_size=4).map(tuple))
tuples = some.lists(elements, max_size=4).map(tuple)
KEYS = {"auto": elements, "tuple": tuples, "str": texts, "int": numbers, "bytes": blobs}
# The order across types, as the documentation says.
RANK = {bytes: 0, str: 1, tuple: 2, int: 3}


def order(key: Any) -> Any:
    """Return something that Python sorts as a store has to sort the key."""
    return (RANK[type(key)], [order(part) for part in key] if type(key) is tuple else key)


def begins(key: Any, prefix: Any) -> bool:
    if type(key) is not type(prefix):
        return False
    if type(key) is tuple:
        return bool(key[: len(prefix)] == prefix)
    return bool(key.startswith(prefix))


def within(data: bytes, start: bytes, stop: bytes | None) -> bool:
    return start <= data and (stop is None or data < stop)


def check(codec: str, a: Any, b: Any) -> None:
    encode = KEY_CODECS[codec].encode
    x, y = encode(a), encode(b)
    assert (x < y, x == y) == (order(a) < order(b), order(a) == order(b))
    assert KEY_CODECS[codec].decode(x) == a
    if codec != "int" and type(a) is not int:
        assert within(y, *KEY_CODECS[codec].beginning(a)) == begins(b, a)


@given(elements, elements)
@example("", ())
@example((b"a",), (b"a\0",))
@example((b"a", 1), (b"a\0", 0))
@example((("a",), "b"), (("a", "b"),))
@example(((),), ((), ()))
@example(-1, 0)
@example(-(2**64), -(2**64) + 1)
@example(2**64 - 1, 2**64)
def test_auto_keys_sort_by_type_and_then_by_value(a: Any, b: Any) -> None:
    check("auto", a, b)


@given(tuples, tuples)
@example((), ("",))
@example(("a",), ("a", b""))
def test_tuple_keys_sort_by_element(a: Any, b: Any) -> None:
    check("tuple", a, b)


@given(some.sampled_from(["str", "int", "bytes"]), some.data())
def test_keys_of_one_type_sort_by_value(codec: str, data: some.DataObject) -> None:
    check(codec, data.draw(KEYS[codec]), data.draw(KEYS[codec]))


@given(tuples, some.lists(elements, max_size=2).map(tuple))
def test_a_tuple_begins_as_its_first_elements_do(head: Any, tail: Any) -> None:
    for codec in ("auto", "tuple"):
        coded = KEY_CODECS[codec]
        assert within(coded.encode(head + tail), *coded.beginning(head))


@given(some.sampled_from(sorted(KEY_CODECS)), some.binary(max_size=40))
@example("auto", b"")
@example("auto", b"\x02\xff")
@example("tuple", b"\x05\x02a")
@example("tuple", b"\x05\x02a\x00")
@example("int", b"\x1d")
@example("int", b"\x15")
@example("int", b"\x15\x01\x00")
@example("str", b"\xed\xa0\x80")
def test_bytes_that_no_codec_made_are_damage_and_nothing_else(codec: str, data: bytes) -> None:
    try:
        key = KEY_CODECS[codec].decode(data)
    except CorruptionError:
        return
    assert key == KEY_CODECS[codec].decode(KEY_CODECS[codec].encode(key))


@given(
    some.sampled_from(["auto", "str"]), some.text(some.characters(categories=["Cs"]), min_size=1)
)
def test_half_characters_are_refused(codec: str, halves: str) -> None:
    with pytest.raises(InvalidError, match="key: a lone surrogate at position 1"):
        KEY_CODECS[codec].encode("a" + halves)


@given(tuples, some.sampled_from([1.5, None, True, [], {}, object(), 1j]))
def test_what_cannot_be_ordered_is_named_by_its_path(head: Any, wrong: Any) -> None:
    path = rf"key\[{len(head)}\]\[1\]: {type(wrong).__name__} cannot"
    for codec in ("auto", "tuple"):
        with pytest.raises(TypeError, match=path) as caught:
            KEY_CODECS[codec].encode((*head, ("x", wrong)))
        assert not isinstance(caught.value, Error)
