"""What a store may be opened with: every option at its edges and of the wrong type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shardkv
from shardkv.options import Options

INF, NAN = float("inf"), float("nan")

OUT_OF_RANGE: list[dict[str, Any]] = [
    *({"shards": n} for n in (-1, 0, 257, 2**70)),
    {"weights": [1]},
    {"shards": 2, "weights": [1]},
    {"shards": 2, "weights": [1, 1, 1]},
    {"shards": 2, "weights": [1, 0]},
    {"shards": 2, "weights": [1, 65]},
    {"shards": 2, "weights": [-1, 1]},
    {"shards": 17, "weights": [64] * 16 + [1]},
    *({"ack": ack} for ack in ("", "both", "DISK", None, 1, ["disk"])),
    *({"unflushed_bytes": n} for n in (-1, 0, (1 << 20) - 1, (1 << 46) + 1)),
    *(
        {name: n}
        for name in ("retain_log_bytes", "max_writes_per_s", "max_bytes_per_s")
        for n in (-1, (1 << 46) + 1)
    ),
    *({"write_timeout": n} for n in (-1, -0.001, 1e9, INF, -INF, NAN)),
    {"segment_bytes": (0, 65536)},
    {"segment_bytes": (-4096, 65536)},
    {"segment_bytes": (65536 - 4096, 65536)},
    {"segment_bytes": (65535, 65536)},
    {"segment_bytes": (65536, 65537)},
    {"segment_bytes": (65536 + 4096, 65536)},
    {"segment_bytes": (65536, (1 << 31) + 4096)},
    *({"map_bytes": n} for n in (-1, 0, (1 << 46) + 1)),
    *({"lock_stripes": n} for n in (-1, 0, (1 << 20) + 1)),
    *({"scrub_bytes_per_s": n} for n in (-1, (1 << 46) + 1)),
]

WRONG_TYPE: list[dict[str, Any]] = [
    *({name: flag} for name in ("create", "readonly") for flag in ("no", 0, 1, None)),
    *({"shards": n} for n in (True, 1.0, "8", b"8", [8])),
    {"shards": 2, "weights": 1},
    {"shards": 2, "weights": "11"},
    {"shards": 2, "weights": [True, 1]},
    {"shards": 2, "weights": [1.0, 1]},
    {"shards": 2, "weights": [None, 1]},
    *({"unflushed_bytes": n} for n in (True, 1e6, "1 MiB")),
    *({"retain_log_bytes": n} for n in (True, 1e6, "1 MiB")),
    *({"write_timeout": n} for n in (True, None, "1", [1])),
    *({"segment_bytes": n} for n in (65536, "64K", [65536, 65536], (65536,), (1, 2, 3))),
    {"segment_bytes": (65536.0, 65536)},
    {"segment_bytes": (65536, "65536")},
    {"segment_bytes": (True, 65536)},
    {"segment_bytes": (None, None)},
    *({"map_bytes": n} for n in (True, 1e9, "1G")),
    *({"lock_stripes": n} for n in (True, 1.0, "8")),
    *({"scrub_bytes_per_s": n} for n in (True, 1e6, "1 MB")),
]

EDGES: list[dict[str, Any]] = [
    {"shards": 1},
    {"shards": 1, "weights": [64]},
    {"shards": 16, "weights": [64] * 16},
    {"shards": 2, "weights": (1, 64)},
    {"shards": 2, "unflushed_bytes": 1 << 20},
    {"shards": 2, "retain_log_bytes": 0},
    {"shards": 2, "retain_log_bytes": 1 << 46},
    {"shards": 2, "write_timeout": 0},
    {"shards": 2, "write_timeout": 0.5},
    {"shards": 2, "segment_bytes": (65536, 65536)},
    {"shards": 2, "map_bytes": 1},
    {"shards": 2, "ack": "memory"},
    {"shards": 2, "lock_stripes": 1},
    {"shards": 2, "lock_stripes": 1 << 20},
    {"shards": 2, "scrub_bytes_per_s": 0},
    {"shards": 2, "scrub_bytes_per_s": 1},
    {"shards": 2, "scrub_bytes_per_s": 1 << 46},
]


@pytest.mark.parametrize("options", OUT_OF_RANGE, ids=str)
def test_an_option_out_of_range_is_named(tmp_path: Path, options: dict[str, Any]) -> None:
    name = list(options)[-1].split("_")[0]
    with pytest.raises(shardkv.InvalidError, match=name):
        shardkv.open(tmp_path / "store", **options)
    assert not list(tmp_path.glob("store/MANIFEST*"))


@pytest.mark.parametrize("options", WRONG_TYPE, ids=str)
def test_an_option_of_the_wrong_type_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        shardkv.open(tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("options", EDGES, ids=str)
def test_an_option_at_its_edge_works(tmp_path: Path, options: dict[str, Any]) -> None:
    with shardkv.open(tmp_path / "store", **options) as store:
        store.put(b"a", b"b")
        store.flush()
        assert store[b"a"] == b"b"
        assert len(store.stats().shards) == options["shards"]


def test_256_shards_are_the_most(tmp_path: Path) -> None:
    with shardkv.open(tmp_path / "store", shards=256, map_bytes=1 << 20) as store:
        store.put_many({b"%d" % n: b"" for n in range(5000)}, ack="memory")
        assert len({store.shard_of(b"%d" % n) for n in range(5000)}) == 256


def test_options_are_keywords_alone(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        shardkv.open(tmp_path / "store", 4)  # type: ignore[misc]
    with pytest.raises(TypeError, match="colour"):
        shardkv.open(tmp_path / "store", colour="red")  # type: ignore[call-arg]


def test_options_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Options().shards = 3  # type: ignore[misc]


def test_contradictions_name_every_field_that_is_set_and_differs() -> None:
    here = Options(shards=3, weights=(1, 1, 1), unflushed_bytes=1 << 20, create=True)
    assert Options().contradictions(here) == []
    assert Options(create=False, shards=3).contradictions(here) == []
    asked = Options(shards=4, unflushed_bytes=1 << 21, readonly=True)
    assert asked.contradictions(here) == ["shards", "unflushed_bytes", "readonly"]
