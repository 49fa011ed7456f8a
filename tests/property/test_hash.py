"""XXH64 in C against the xxhash package."""

from __future__ import annotations

import random

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as some

from shardkv._native import hash64

SEEDS = [0, 1, 0x736861726B76, 2**32, 2**63, 2**64 - 1]
# Of the bytes 0, 1, 2, ... of that length; they hold on every platform, whatever library is installed.
GOLDEN = {
    0: 0xEF46DB3751D8E999,
    1: 0xE934A84ADB052768,
    31: 0xC346D2B59B4D8EE1,
    32: 0xCBF59C5116FF32B4,
    100: 0x6AC1E58032166597,
}


@pytest.mark.parametrize("seed", SEEDS)
def test_hash_of_every_length_equals_the_package(seed: int, rng: random.Random) -> None:
    for length in range(301):
        for data in (rng.randbytes(length), b"\x00" * length, b"\xff" * length):
            assert hash64(data, seed) == xxhash.xxh64_intdigest(data, seed), (length, seed)


@given(data=some.binary(max_size=2000), seed=some.integers(0, 2**64 - 1))
def test_hash_of_anything_equals_the_package(data: bytes, seed: int) -> None:
    assert hash64(data, seed) == xxhash.xxh64_intdigest(data, seed)


@pytest.mark.parametrize("length", GOLDEN)
def test_hash_has_its_golden_values(length: int) -> None:
    assert hash64(bytes(range(length))) == GOLDEN[length]
