"""Which engines can run here, for rows of every kind, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.counters import COUNTERS, counter_class
from bench.engines import ENGINES, engine_class
from bench.result import Unavailable

#: Every name that `--engines` knows, in the order of the reports.
NAMES = tuple(dict.fromkeys((*ENGINES, *COUNTERS)))


@dataclass
class Installed:
    """What was found: settings by engine, and reasons by engine that is not here."""

    settings: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def look(names: Iterable[str]) -> Installed:
    """Import the adapters of all engines in `names`."""
    found = Installed()
    for name in names:
        try:
            settings = _settings(name)
        except (ImportError, Unavailable) as reason:
            found.absent[name] = str(reason)
        else:
            found.settings[name] = settings
    return found


def _settings(name: str) -> str:
    told = [engine_class(name).settings] if name in ENGINES else []
    if name in COUNTERS:
        told.append(f"as a counter: {counter_class(name).settings}")
    return "; ".join(told)
