"""What an error of opening says that a peer can do about it: to whom it helps, and to nobody else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import shardkv

Damage = Callable[[Path], object]


def spoil_shard(path: Path) -> None:
    """The shard's own record fails its checksum."""
    for file in path.glob("shards/*/data.mdb"):
        image = bytearray(file.read_bytes())
        at = image.find(bytes(511))
        while at >= 0:
            image[at + 511 + 40] ^= 1
            at = image.find(bytes(511), at + 600)
        file.write_bytes(image)


def spoil_manifest(path: Path) -> None:
    for file in path.glob("MANIFEST*"):
        file.write_bytes(b"damaged")


def break_log(path: Path) -> None:
    """The side file cannot be read: where its directory was is a file."""
    shutil.rmtree(path / "log")
    (path / "log").touch()


@pytest.fixture
def family(tmp_path: Path) -> tuple[Path, Path, Path]:
    a, b, c = (tmp_path / name for name in "abc")
    with shardkv.open(a, shards=1, peers=[b, c], ack="all") as store:
        store[b"key"] = b"value"
        store.flush()
    return a, b, c


def guidance(path: Path, members: tuple[Path, ...]) -> str:
    return (
        f"; a peer may have a good copy: shardkv.check({str(path)!r}, repair=True) mends from "
        f"{', '.join(map(str, members))}, shardkv.promote makes one of them the primary"
    )


@pytest.mark.parametrize(
    ("damage", "kind", "what"),
    [
        (spoil_shard, shardkv.CorruptionError, "the shard's own record is damaged"),
        (break_log, shardkv.DiskError, "log/MARK: cannot open the file"),
    ],
)
def test_a_damaged_primary_names_the_peers_that_it_knows_and_the_ways_out(
    family: tuple[Path, Path, Path], damage: Damage, kind: type[Exception], what: str
) -> None:
    a, b, c = family
    damage(a)
    for asked in (None, [b, c], []):
        with pytest.raises(kind) as caught:
            shardkv.open(a, peers=asked)
        assert str(caught.value).endswith(guidance(a, (b, c)))
        assert what in str(caught.value), "what happened comes first"


def test_without_a_manifest_the_peers_that_were_named_are_the_ones_that_may_help(
    family: tuple[Path, Path, Path],
) -> None:
    a, b, _ = family
    spoil_manifest(a)
    with pytest.raises(shardkv.CorruptionError) as caught:
        shardkv.open(a, peers=[b])
    assert str(caught.value).endswith(guidance(a, (b,)))
    with pytest.raises(shardkv.CorruptionError) as caught:
        shardkv.open(a)
    assert "a peer may" not in str(caught.value)


def test_the_ways_out_are_ways_out(family: tuple[Path, Path, Path]) -> None:
    a, b, c = family
    spoil_shard(a)
    assert shardkv.check(a, repair=True).repaired
    with shardkv.open(a) as store:
        assert store[b"key"] == b"value"
    spoil_shard(a)
    shardkv.promote(b, c)
    with shardkv.open(b, peers=[c]) as store:
        assert store[b"key"] == b"value"


def test_a_damaged_peer_or_a_store_without_peers_is_told_of_no_promotion(
    family: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, b, _ = family
    alone = tmp_path / "alone"
    shardkv.open(alone, shards=1).close()
    for path, readonly in ((alone, False), (b, True)):
        spoil_shard(path)
        with pytest.raises(shardkv.CorruptionError) as caught:
            shardkv.open(path, readonly=readonly)
        assert "promote" not in str(caught.value)


def test_a_primary_that_is_gone_says_which_peer_can_take_its_place(
    family: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    a, b, c = family
    a.rename(tmp_path / "gone")
    for asked, first in (([b, c], b), ([tmp_path / "nobody", c], c)):
        with pytest.raises(shardkv.FencedError) as caught:
            shardkv.open(a, peers=asked)
        assert f"{a} holds no store, but its peer {first} does" in str(caught.value)
        assert f"shardkv.promote({str(first)!r}) makes a peer the primary" in str(caught.value)
        assert not a.exists()
    with shardkv.open(a, shards=1, peers=[tmp_path / "nobody"]) as store:
        assert len(store) == 0, "peers that hold nothing hold nobody back"


def test_who_opens_a_peer_to_write_is_told_how_to_read_it_and_how_to_promote_it(
    family: tuple[Path, Path, Path],
) -> None:
    _, b, _ = family
    with pytest.raises(shardkv.FencedError) as caught:
        shardkv.open(b)
    assert "readonly=True" in str(caught.value)
    assert f"shardkv.promote({str(b)!r})" in str(caught.value)
