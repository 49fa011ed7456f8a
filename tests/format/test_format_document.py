"""FORMAT.md is the one description of the bytes: its tables are the constants, its dump decodes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import xxhash

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "csrc/FORMAT.md").read_text()
SECTION = re.compile(r"^## ", re.MULTILINE)
PREFIX = re.compile(r"[Pp]refix `(SKV_\w+_)`")
ROW = re.compile(r"^\| (\d+) \|\s*(\d*)\s*\| (\w+) \|", re.MULTILINE)
DUMP_LINE = re.compile(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?){16})$", re.MULTILINE)


def constants() -> dict[str, str]:
    defined = re.findall(
        r"^#define (SKV_\w+) (\S+)", (ROOT / "csrc/format.h").read_text(), re.MULTILINE
    )
    return {name: value.strip('"') for name, value in defined}


def tables(document: str) -> list[tuple[str, list[tuple[int, int | None, str]]]]:
    """Each table as (prefix of its constants, rows of (offset, bytes, name))."""
    found = []
    for section in SECTION.split(document):
        blocks = section.split("| offset | bytes |")[1:]
        prefixes = PREFIX.findall(section) if blocks else []
        rows = [
            [(int(at), int(size) if size else None, name) for at, size, name in ROW.findall(block)]
            for block in blocks
        ]
        found += list(zip(prefixes, rows, strict=True))
    return found


def differences(document: str, known: dict[str, str]) -> list[str]:
    wrong = []
    for prefix, rows in tables(document):
        for at, _, name in rows:
            constant = known.get(prefix + name.upper())
            expected = constant if name == "magic" else str(at)
            if constant is None and at == 0:
                continue  # offset 0 needs no constant
            if constant is None or constant != expected:
                wrong.append(f"{prefix}{name.upper()} is {constant}, the document says {at}")
        ends = [(at + size, nxt) for (at, size, _), (nxt, _, _) in itertools.pairwise(rows) if size]
        wrong += [f"{prefix}: a gap or overlap at {end}" for end, nxt in ends if end != nxt]
    return wrong


def test_every_table_agrees_with_the_constants() -> None:
    assert len(tables(DOCUMENT)) == 8
    assert differences(DOCUMENT, constants()) == []


def test_a_wrong_offset_in_a_table_is_found() -> None:
    wrong = DOCUMENT.replace("| 40 | 8 | durable_upto |", "| 44 | 8 | durable_upto |")
    assert differences(wrong, constants())


def test_every_offset_constant_stands_in_a_table() -> None:
    told = {prefix + name.upper() for prefix, rows in tables(DOCUMENT) for _, _, name in rows}
    prefixes = tuple(prefix for prefix, _ in tables(DOCUMENT))
    untold = {name for name in constants() if name.startswith(prefixes)} - told
    # Flags and sizes that the text, not a table, describes.
    assert untold == {
        "SKV_SEGMENT_FRAMES",
        "SKV_RECORD_EXPIRES_BYTES",
        "SKV_RECORD_DELETE",
        "SKV_RECORD_EXPIRES",
        "SKV_RECORD_MEMORY_ACK",
        "SKV_RECORD_FLAGS_ALL",
        "SKV_MARK_SLOT_BYTES",
        "SKV_SHARD_META_KEY_BYTES",
    }


def dump() -> bytes:
    lines = DUMP_LINE.findall(DOCUMENT)
    image = bytearray(int(lines[-1][0], 16) + 16)
    for at, text in lines:
        image[int(at, 16) : int(at, 16) + 16] = bytes.fromhex(text)
    return bytes(image)


def field(image: bytes, base: int, prefix: str, name: str) -> int:
    rows = dict(tables(DOCUMENT))[prefix]
    at, size = next((at, size) for at, size, found in rows if found == name)
    assert size is not None
    return int.from_bytes(image[base + at : base + at + size], "little")


def test_the_dumped_segment_header_checks() -> None:
    image = dump()
    assert image[:8] == b"SKVLOGSG"
    assert field(image, 0, "SKV_SEGMENT_", "checksum") == xxhash.xxh64_intdigest(image[16:512])
    assert field(image, 0, "SKV_SEGMENT_", "version") == 1
    assert field(image, 0, "SKV_SEGMENT_", "id") == 1
    assert field(image, 0, "SKV_SEGMENT_", "first_seqno") == 1


def frames(image: bytes) -> list[tuple[int, bytes]]:
    """(offset, body) of each dumped frame, checksums verified."""
    salt = field(image, 0, "SKV_SEGMENT_", "salt")
    found, at, previous = [], 512, field(image, 0, "SKV_SEGMENT_", "previous")
    for _ in range(2):
        checksum = field(image, at, "SKV_FRAME_", "checksum")
        size = field(image, at, "SKV_FRAME_", "body_bytes")
        body = image[at + 56 : at + 56 + size]
        assert checksum == xxhash.xxh64_intdigest(image[at + 8 : at + 56], salt)
        assert field(image, at, "SKV_FRAME_", "body_checksum") == xxhash.xxh64_intdigest(body, salt)
        assert field(image, at, "SKV_FRAME_", "previous") == previous
        found.append((at, body))
        previous, at = checksum, at + (56 + size + 7) // 8 * 8
    return found


def record(body: bytes, at: int) -> tuple[int, int, bytes, bytes, int]:
    """(seqno, flags, key, value, end) of the record at an offset, checksum verified."""
    stamp = field(body, at, "SKV_RECORD_", "stamp")
    value_bytes = field(body, at, "SKV_RECORD_", "value_bytes")
    key_at = at + 18
    value_at = key_at + field(body, at, "SKV_RECORD_", "key_bytes")
    key, value = body[key_at:value_at], body[value_at : value_at + value_bytes]
    seed = xxhash.xxh64_intdigest(key, stamp)
    checksum = field(body, at, "SKV_RECORD_", "checksum")
    assert checksum == xxhash.xxh64_intdigest(value, seed) & 0xFFFFFFFF
    return stamp >> 8, stamp & 0xFF, key, value, value_at + value_bytes


def test_the_dumped_frames_hold_what_the_text_says() -> None:
    image = dump()
    (first, first_body), (second, second_body) = frames(image)
    assert field(image, first, "SKV_FRAME_", "durable_upto") == 0
    assert field(image, second, "SKV_FRAME_", "durable_upto") == 1
    assert record(first_body, 0) == (1, 0, b"hello", b"world", len(first_body))
    seqno, flags, key, value, end = record(second_body, 0)
    assert (seqno, flags, key, value) == (2, 0, b"key", b"value")
    assert record(second_body, end) == (3, 1, b"hello", b"", len(second_body))


def test_a_flipped_bit_in_the_dump_is_found() -> None:
    image = bytearray(dump())
    image[0x24B] ^= 1
    with pytest.raises(AssertionError):
        frames(bytes(image))
