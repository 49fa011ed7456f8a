"""Chapter 4: everything is read back and held against the originals; scans, lookups, snapshots."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

from demo_input import Input, Pairs, library
from demo_million import PREFIX, event_key, event_value
from demo_show import Clock, Rate, Show

import shardkv

COUNTRY, COUNTRY_NAME = b"JP", "Japan"
MOVES_COUNTRY, MOVES_COUNTRY_NAME = b"NZ", "New Zealand"
LARGEST = 3
GETS = 100_000
SNAPSHOT_SECONDS = 1.5
SEED = 20


def read_back(store: shardkv.Store, show: Show, put_in: Input, million: int, scale: float) -> None:
    """Read everything in several ways; every answer is checked."""
    show.chapter("4. Everything is read back, from the store that the killed process left")
    _country(store, show, put_in.cities)
    _cities(store, show, put_in.cities)
    _files(store, show, put_in.sources)
    _events(store, show, million)
    _gets(store, show, million, max(1, round(GETS * scale)))
    _scan(store, show)
    _snapshots(store, show, SNAPSHOT_SECONDS * min(1.0, 0.2 + scale))


def _country(store: shardkv.Store, show: Show, cities: Pairs) -> None:
    prefix = b"city/" + COUNTRY + b"/"
    clock = Clock()
    rows = list(store.scan(prefix=prefix))
    show.say(
        f'scan(prefix=b"{prefix.decode()}"): {len(rows):,} records in {clock.seconds * 1e3:.1f} ms'
    )
    found = sorted((json.loads(value) for _, value in rows), key=lambda city: -city["population"])
    names = [f"{city['name']} {city['population']:,}" for city in found[:LARGEST]]
    show.say(f"   the largest cities of {COUNTRY_NAME}: {'; '.join(names)}")
    expected = sorted(pair for pair in cities if pair[0].startswith(prefix))
    show.check(rows == expected, f"these are all cities of {COUNTRY_NAME}, in key order, unchanged")


def _cities(store: shardkv.Store, show: Show, cities: Pairs) -> None:
    show.check(
        list(store.scan(prefix=b"city/")) == sorted(cities),
        f"all {len(cities):,} cities come back in key order, every byte as it was put in",
    )
    last = next(iter(store.scan(prefix=b"city/", reverse=True, limit=1, values=False)))
    show.check(last == max(cities)[0], f"a reverse scan begins at the last: {last.decode()}")


def _files(store: shardkv.Store, show: Show, sources: Pairs) -> None:
    key = b"src/json/decoder.py"
    original = (library() / "json" / "decoder.py").read_bytes()
    show.check(
        store.get(key) == original,
        f'get(b"{key.decode()}") is the file on disk, byte for byte ({len(original):,} bytes)',
    )
    keys = [key for key, _ in sources]
    stored = store.get_many(keys)
    same = sum(
        stored.get(key) == (library() / key.removeprefix(b"src/").decode()).read_bytes()
        for key in keys
    )
    show.check(same == len(keys), f"{same:,} of {len(keys):,} source files equal those on disk")


def _events(store: shardkv.Store, show: Show, million: int) -> None:
    right = sum(
        key == event_key(number) and value == event_value(key)
        for number, (key, value) in enumerate(store.scan(prefix=PREFIX))
    )
    show.check(
        right == million,
        f"{right:,} of the {million:,} records of chapter 2 are there, each with its value",
    )


def _gets(store: shardkv.Store, show: Show, million: int, count: int) -> None:
    chance = random.Random(SEED)
    keys = [event_key(chance.randrange(million)) for _ in range(count)]
    clock = Clock()
    values = [store.get(key) for key in keys]
    show.rates.append(Rate("get(key), random keys", count, clock.seconds))
    clock = Clock()
    found = store.get_many(keys)
    show.rates.append(Rate("get_many(the same keys)", count, clock.seconds))
    right = sum(
        value == found.get(key) == event_value(key) for key, value in zip(keys, values, strict=True)
    )
    show.check(
        right == count,
        f"{right:,} of {count:,} random lookups gave the right value, by get and get_many",
    )


def _scan(store: shardkv.Store, show: Show) -> None:
    clock = Clock()
    rows = sum(1 for _ in store.scan())
    show.rates.append(Rate("scan() of the whole store", rows, clock.seconds))
    show.check(
        rows == len(store),
        f"a scan of the whole store meets {rows:,} records, as many as it counts",
    )


def _snapshots(store: shardkv.Store, show: Show, seconds: float) -> None:
    """Move inhabitants between cities, and add them up in snapshots: the sum may never change."""
    prefix = b"people/"
    people = {
        prefix + key: json.loads(value)["population"]
        for key, value in store.scan(prefix=b"city/" + MOVES_COUNTRY + b"/")
    }
    store.put_many({key: b"%d" % count for key, count in people.items()})
    total, states, taken, wrong = sum(people.values()), set(), 0, 0
    with ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        moving = pool.submit(_move, store, people, stop)
        clock = Clock()
        try:
            while clock.seconds < seconds:
                with store.snapshot() as snapshot:
                    rows = dict(snapshot.scan(prefix=prefix))
                    again = dict(snapshot.scan(prefix=prefix))
                states.add(frozenset(rows.items()))
                wrong += rows != again or sum(map(int, rows.values())) != total
                taken += 1
        finally:
            stop.set()
        batches = moving.result()
    show.say(f"A thread moves inhabitants of {MOVES_COUNTRY_NAME} from city to city, each time in")
    show.say(f"one atomic batch that is on disk before the next: {batches:,} batches.")
    show.check(
        wrong == 0 and len(states) > 1,
        f"{taken - wrong:,} of {taken:,} snapshots meanwhile add up to {total:,} inhabitants, "
        f"in {len(states):,} distributions",
    )


def _move(store: shardkv.Store, people: dict[bytes, int], stop: threading.Event) -> int:
    chance, keys, batches = random.Random(SEED), sorted(people), 0
    while not stop.is_set():
        start, end = chance.sample(keys, 2)
        moved = chance.randint(0, people[start])
        people[start] -= moved
        people[end] += moved
        with store.batch(ack="disk") as batch:
            batch.put(start, b"%d" % people[start])
            batch.put(end, b"%d" % people[end])
        batches += 1
    return batches
