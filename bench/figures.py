"""README's figures and its picture, made from the committed result file that README names.

`python -m bench.figures` writes them, the figures between README's two marks, and the table of targets between those of
docs/performance.md; tests hold them equal. Another result file is named in the first mark.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.noise import Noise
from bench.page.markdown import targets
from bench.page.overview import overview
from bench.report import UNITS, number
from bench.targets import SUBJECT

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = Path("docs/figures.svg")
PERFORMANCE = ROOT / "docs" / "performance.md"
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)
TARGETS = re.compile(r"(<!-- targets: (\S+) -->\n)(.*?)(<!-- end of targets -->)", re.DOTALL)
HEAD = "| | shardkv | best peer | |\n|---|---|---|---|\n"
MISSED = {"fail"}
JUDGED = {"fail", "pass", "reach"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of the table: our figure and the best one of a peer, as the row measured them.

    Args:
        work: what README calls it.
        row, variant, metric: which figure of the result.
        peer_metric: the peers' metric where it differs from ours.
        any_variant: compare with the peers in every variant.
    """

    work: str
    row: str
    variant: str = ""
    metric: str = "per_s"
    peer_metric: str | None = None
    any_variant: bool = False


LINES = (
    Line("put, 1 thread", "1"),
    Line("put, 16 threads", "2", "16 threads"),
    Line("put, 64 threads", "2", "64 threads"),
    Line("put, 1,000 asyncio tasks; peers: threads", "3", "1,000 tasks", any_variant=True),
    Line("incr of one hot key, 16 threads", "counter", "16 threads"),
    Line("incr of one hot key, 1,000 asyncio tasks", "counter", "1,000 tasks"),
    Line("put_many(1,000)", "5"),
    Line("submit loop, then one sync; peers: no sync", "4", "", "synced_per_s", "loop_per_s"),
    Line("ingest until all is flushed", "6", "synced batches"),
    Line("ingest, data 40x the budget", "7"),
    Line("get, cached", "8"),
    Line("ordered scan, 16 shards", "9"),
    Line("put p99 while flushing", "10", "load, flushing", "p99_us"),
    Line("bytes to the device per byte put", "15", "budget 30%", "device_per_byte"),
    Line("replay to first read, cold cache", "11", "cold cache", "s_per_gb"),
    Line("open a clean store, 16 shards", "12", metric="open_ms"),
    Line("heap per unflushed record", "13", metric="heap_bytes"),
)


def figures(result: Json) -> str:
    """Return the table and the sentences below it.

    Raises:
        ValueError: when the machine was too noisy and nobody accepted that.
    """
    noise = Noise(**result.get("noise", {}))
    if noise.refused:
        raise ValueError(f"the result is refused, its machine was too noisy: {noise.reasons[0]}")
    rows = {str(row["row"]): row for row in result["rows"]}
    lines = [_line(line, rows[line.row]) for line in LINES if line.row in rows]
    return HEAD + "".join(lines) + "\n" + _about(result) + "\n" + _verdict(result, noise) + "\n"


def _line(line: Line, row: Json) -> str:
    ours, peers = None, []
    for one in row["series"]:
        mine = one["engine"] == SUBJECT
        metric = line.metric if mine else line.peer_metric or line.metric
        found = one["metrics"].get(metric)
        if found is None or not (one["variant"] == line.variant or (line.any_variant and not mine)):
            continue
        if mine:
            ours = found["median"]
        elif found["median"]:
            peers.append((found["median"], one["engine"]))
    if ours is None:
        return ""
    unit = UNITS[line.metric]
    if not peers:
        return f"| {line.work} | {_figure(ours, unit)} | | |\n"
    value, name = max(peers) if unit == "/s" else min(peers)
    ratio = ours / value if unit == "/s" else value / ours
    return (
        f"| {line.work} | {_figure(ours, unit)} | {name} {_figure(value, unit)} | {ratio:.2g}x |\n"
    )


def _figure(value: float, unit: str) -> str:
    return f"{number(value)}{'' if unit == '/s' else ' '}{unit}"


def _about(result: Json) -> str:
    machine, plan = result["machine"], result["plan"]
    return (
        f"Medians of {plan['rounds']} interleaved rounds of {plan['seconds']:g} s on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['file_system']}, {machine['kernel']}, Python {machine['python']}, "
        f"load {machine['load_at_start']:g} at the start."
    )


def _verdict(result: Json, noise: Noise) -> str:
    judged = [
        (str(row["row"]), target["verdict"]) for row in result["rows"] for target in row["targets"]
    ]
    floors = [(row, verdict) for row, verdict in judged if verdict in JUDGED]
    missed = list(dict.fromkeys(row for row, verdict in floors if verdict in MISSED))
    met = sum(verdict not in MISSED for _, verdict in floors)
    where = f"; missed in row {', '.join(missed)}" if missed else ""
    noisy = " The machine was noisy." if noise.reasons else ""
    return f"{met} of {len(floors)} floors are met{where}.{noisy}"


def updated(readme: str, root: Path = ROOT) -> str:
    """Return README's text with the figures of the result file that it names.

    Raises:
        ValueError: when README has no such block, or names a result that is refused.
    """
    found = _block(BLOCK, readme)
    result = _named(found, root)
    image = f"![{overview(result).title}]({PICTURE})\n\n"
    return _filled(found, readme, image + figures(result))


def updated_targets(document: str, root: Path = ROOT) -> str:
    """Return a document's text with the table of targets of the result file that it names.

    Raises:
        ValueError: when it has no such block.
    """
    found = _block(TARGETS, document)
    return _filled(found, document, targets(_named(found, root)))


def picture(readme: str, root: Path = ROOT) -> str:
    """Return the picture of the result file that README names, as SVG.

    Raises:
        ValueError: when README has no such block.
    """
    return overview(_named(_block(BLOCK, readme), root)).svg(alone=True) + "\n"


def _block(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.search(text)
    if found is None:
        raise ValueError("there is no block of figures")
    return found


def _named(block: re.Match[str], root: Path) -> Json:
    result: Json = json.loads((root / block[2]).read_text(encoding="utf-8"))
    return result


def _filled(block: re.Match[str], text: str, told: str) -> str:
    return text[: block.start()] + block[1] + told + block[4] + text[block.end() :]


def main(words: Sequence[str] = ()) -> int:
    """Bring README, its picture and the table of targets up to date; `words` must be empty."""
    if words:
        raise SystemExit(f"figures: unexpected {' '.join(words)}")
    readme = README.read_text(encoding="utf-8")
    try:
        texts = {
            README: updated(readme),
            ROOT / PICTURE: picture(readme),
            PERFORMANCE: updated_targets(PERFORMANCE.read_text(encoding="utf-8")),
        }
    except ValueError as error:
        raise SystemExit(f"README.md and what belongs to it stay as they are: {error}") from error
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
