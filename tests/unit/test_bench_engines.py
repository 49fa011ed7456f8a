"""Every engine of the benchmark behind the one interface, at every durability that it offers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.engines import (
    ENGINES,
    Durability,
    Engine,
    Pairs,
    Session,
    Setup,
    engine_class,
    open_engine,
)
from bench.engines.behind import synced_behind
from bench.engines.sqlite import page_bytes
from bench.result import Unavailable

ORDERED = [name for name in ENGINES if name not in {"diskcache", "dbm"}]
CACHE_BYTES = 8 << 20


def kind(name: str) -> type[Engine]:
    pytest.importorskip({"py-lmdb": "lmdb"}.get(name, name))
    return engine_class(name)


def opened(name: str, path: Path, durability: Durability = Durability.MEMORY) -> Engine:
    if durability not in kind(name).levels:
        pytest.skip(f"{name} does not offer {durability.value}")
    return open_engine(name, path, Setup(durability, cache_bytes=CACHE_BYTES))


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("name", ENGINES)
def test_what_was_put_is_read_by_another_thread_and_after_reopening(
    name: str, durability: Durability, tmp_path: Path
) -> None:
    pairs = [(b"key %03d" % number, b"value %d" % number) for number in range(100)]
    with opened(name, tmp_path, durability) as engine, synced_behind(engine):
        session = engine.session()
        session.put_many(pairs)
        session.put(*pairs[7])
        session.close()
        found: list[bytes | None] = []
        reader = threading.Thread(target=lambda: found.extend(_get_all(engine, pairs)))
        reader.start()
        reader.join()
        assert found == [value for _, value in pairs]
        engine.sync()
        engine.sync_behind()
        engine.flush()
        engine.session().put(pairs[0][0], b"newest")
    with opened(name, tmp_path, durability) as engine:
        session = engine.session()
        assert session.get(pairs[0][0]) == b"newest"
        assert session.get(pairs[1][0]) == b"value 1"
        assert session.get(b"none") is None
        session.close()


def _get_all(engine: Engine, pairs: Pairs) -> Iterator[bytes | None]:
    session = engine.session()
    yield from [session.get(key) for key, _ in pairs]
    session.close()


def scanned(session: Session, start: bytes, most: int) -> Pairs:
    assert session.scan is not None
    return session.scan(start, most)


@pytest.mark.parametrize("name", ORDERED)
def test_a_scan_begins_at_the_next_key_and_ends_after_its_count(name: str, tmp_path: Path) -> None:
    pairs = [(b"key %03d" % number, b"value %d" % number) for number in range(0, 100, 2)]
    with opened(name, tmp_path) as engine:
        session = engine.session()
        session.put_many(pairs[::-1])
        assert scanned(session, b"key 010", 3) == pairs[5:8]
        assert scanned(session, b"key 011", 3) == pairs[6:9]
        assert scanned(session, b"key 097", 3) == pairs[49:]
        assert scanned(session, b"l", 3) == []
        assert list(engine.scan()) == pairs
        session.close()


@pytest.mark.parametrize("name", [name for name in ENGINES if name not in ORDERED])
def test_an_engine_without_order_says_so(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as engine:
        assert engine.session().scan is None
        with pytest.raises(Unavailable, match=f"{name} keeps no key order"):
            engine.scan()


def test_a_level_that_an_engine_does_not_offer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="dbm has no durability level 'synced'"):
        open_engine("dbm", tmp_path, Setup(Durability.DISK))


def test_who_has_no_asyncio_interface_says_so(tmp_path: Path) -> None:
    with opened("sqlite3", tmp_path) as engine:
        with pytest.raises(Unavailable, match="sqlite3 has no asyncio interface"):
            engine.on_loop()


def test_sqlite_keeps_large_records_out_of_overflow_pages(tmp_path: Path) -> None:
    assert [page_bytes(size) for size in (116, 900, 1023, 3000, 10**6)] == [
        4096,
        4096,
        8192,
        16384,
        65536,
    ]
    pairs = [(b"%023d" % number, bytes(1000)) for number in range(400)]
    with open_engine("sqlite3", tmp_path, Setup(Durability.MEMORY, record_bytes=1023)) as engine:
        engine.session().put_many(pairs)
        engine.flush()
    assert (tmp_path / "store.db").stat().st_size < 400 * 2000


@pytest.mark.parametrize("durability", Durability)
def test_tasks_and_threads_share_a_store(durability: Durability, tmp_path: Path) -> None:
    async def work(engine: Engine) -> tuple[bytes | None, Pairs]:
        async with engine.on_loop() as calls:
            await calls.put(b"b", b"2")
            return await calls.get(b"a"), await calls.scan(b"a", 9)

    with opened("shardkv", tmp_path, durability) as engine:
        session = engine.session()
        session.put(b"a", b"1")
        assert asyncio.run(work(engine)) == (b"1", [(b"a", b"1"), (b"b", b"2")])
        assert session.get(b"b") == b"2"


class Failing:
    """An engine whose sync fails."""

    setup = Setup(Durability.GROUP)
    syncs_behind = False

    def __init__(self) -> None:
        self.tried = threading.Event()

    def sync_behind(self) -> None:
        self.tried.set()
        raise OSError("no sync")


def test_a_sync_behind_that_fails_fails_the_turn() -> None:
    engine = Failing()
    with pytest.raises(OSError, match="no sync"), synced_behind(engine):  # type: ignore[arg-type]
        assert engine.tried.wait(30)
