"""Latencies of a run: percentiles for each kind of operation, from the times that clients noted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.ycsb.clients import NS, Log, Outcome
from bench.ycsb.workloads import Kind

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}

Times = NDArray[np.int64]


def metrics(outcome: Outcome, kinds: Sequence[Kind]) -> dict[str, float]:
    """Return the rate; count, mean and percentiles in us of all operations, and of each of `kinds`.

    An operation counts when it ended inside the measured span. With arrivals at a rate its latency
    begins when it was due, and `service` tells the time since it really began.
    """
    parts = [_Part(log, outcome) for log in outcome.logs]
    every = np.sort(np.concatenate([part.all_times() for part in parts]))
    rate = len(every) * NS / (outcome.end - outcome.begin)
    found = {"per_s": rate, **_summary(every)}
    reported = [Kind.READ, Kind.UPDATE, *kinds] if Kind.RMW in kinds else kinds
    for kind in dict.fromkeys(reported):
        times = np.sort(np.concatenate([part.times(kind) for part in parts]))
        name = kind.name.lower()
        found |= {f"{name}_{key}": value for key, value in _summary(times).items()}
        if outcome.logs[0].dues:
            service = np.sort(np.concatenate([part.service(kind) for part in parts]))
            for key in ("p50", "p99"):
                found[f"{name}_service_{key}_us"] = percentile(service, SHARES[key])
    return found


class _Part:
    """One client's share of the outcome."""

    def __init__(self, log: Log, outcome: Outcome) -> None:
        self.ends = np.frombuffer(log.ends, np.int64)
        # Who is stopped by an error has begun what has not ended.
        self.begins = np.frombuffer(log.begins, np.int64)[: len(self.ends)]
        self.kinds = log.kinds[: len(self.ends)]
        self.middles = np.frombuffer(log.middles, np.int64)
        self.starts = self.begins
        if log.dues:
            self.starts = np.asarray(log.dues[: len(self.ends)], np.int64) + outcome.start
        self.counted = (self.ends > outcome.begin) & (self.ends <= outcome.end)

    def all_times(self) -> Times:
        """Return the latencies of all operations."""
        return (self.ends - self.starts)[self.counted]

    def times(self, kind: Kind) -> Times:
        """Return the latencies of one kind. A read-modify-write is also a read and an update."""
        return np.concatenate([*self._latencies(kind, self.starts)])

    def service(self, kind: Kind) -> Times:
        """Return the latencies since the operations really began."""
        return np.concatenate([*self._latencies(kind, self.begins)])

    def _latencies(self, kind: Kind, starts: Times) -> Iterator[Times]:
        chosen = self.counted & (self.kinds == kind)
        yield self.ends[chosen] - starts[chosen]
        rmw = self.kinds == Kind.RMW
        counted = self.counted[rmw]
        if kind is Kind.READ:
            yield self.middles[: rmw.sum()][counted] - starts[rmw][counted]
        if kind is Kind.UPDATE:
            yield self.ends[rmw][counted] - self.middles[: rmw.sum()][counted]


def _summary(ordered: Times) -> dict[str, float]:
    mean = float(ordered.mean()) / 1000 if len(ordered) else 0.0
    shares = {f"{name}_us": percentile(ordered, share) for name, share in SHARES.items()}
    return {"count": len(ordered), "mean_us": mean, **shares}


def percentile(ordered: Times, share: float) -> float:
    """Return the smallest of the times, in us, that `share` of them do not exceed; 0 of none."""
    if not len(ordered):
        return 0.0
    return float(ordered[max(0, int(np.ceil(len(ordered) * share)) - 1)]) / 1000
