"""Pictures as text: SVG elements, a drawing with a title, and the colours of the engines.

A drawing stands alone or inside the page; its style adapts to light and dark by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

#: Engine -> number of its colour, the same in every picture. Others take the colours that are left in turn.
ENGINES = (
    "shardkv",
    "plyvel",
    "rocksdict",
    "py-lmdb",
    "sqlite3",
    "diskcache",
    "redis",
    "dbm",
)
# Hues that people with any kind of colour vision can tell apart (Okabe and Ito), for both backgrounds.
LIGHT = ("#0072b2", "#d98200", "#009e73", "#b8578c", "#3d9bd1", "#d55e00", "#7a6a00", "#6b6b6b")
DARK = ("#4aa8ee", "#f0b429", "#2fc99a", "#e39ac4", "#8fd0f5", "#ff8a4c", "#cfc04a", "#a5a5a5")
MARGIN = 8  # left and right of a drawing
INK = {
    "light": {"ink": "#1d2329", "soft": "#5b6570", "rule": "#d9dee3", "ground": "#ffffff"},
    "dark": {"ink": "#e6eaee", "soft": "#9aa5b1", "rule": "#38414a", "ground": "#14181c"},
}


def colours(scheme: str) -> str:
    """Return the custom properties of one scheme, `light` or `dark`."""
    hues = LIGHT if scheme == "light" else DARK
    named = {**INK[scheme], **{f"hue-{number}": hue for number, hue in enumerate(hues)}}
    return "".join(f"--{name}:{value};" for name, value in named.items())


def style(root: str) -> str:
    """Return the rules of all drawings below the selector `root`."""
    hues = "".join(
        f".fill-{number}{{fill:var(--hue-{number})}}"
        f".line-{number}{{stroke:var(--hue-{number});fill:none;stroke-width:1.6;stroke-linejoin:round}}"
        for number in range(len(LIGHT))
    )
    return (
        f"{root}{{{colours('light')}}}"
        f"@media (prefers-color-scheme:dark){{{root}{{{colours('dark')}}}}}"
        "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}"
        "svg .title{font-weight:600;font-size:13px}svg .soft{fill:var(--soft);font-size:11px}"
        "svg .rule{stroke:var(--rule);stroke-width:1}svg .axis{stroke:var(--soft);stroke-width:1}"
        "svg .whisker{stroke:var(--ink);stroke-width:1.2;fill:none}"
        "svg .mean{stroke:var(--ink);stroke-width:1;stroke-dasharray:4 3}"
        "svg .shade{fill:var(--soft);opacity:.16}svg .peer{opacity:.75}"
        f"{hues}"
    )


def hue(engine: str) -> int:
    """Return the number of an engine's colour."""
    if engine in ENGINES:
        return ENGINES.index(engine)
    return 1 + sum(engine.encode()) % (len(LIGHT) - 1)


def element(tag: str, *children: str, **attributes: object) -> str:
    """Write one element. `class_` and `stroke_width` become `class` and `stroke-width`; numbers are rounded."""
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{told}>{''.join(children)}</{tag}>" if children else f"<{tag}{told}/>"


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def slug(words: str) -> str:
    """Return `words` as a name for a file or an id."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


@dataclass
class Drawing:
    """A picture that grows part by part.

    Args:
        title: what it shows; read out, and the name of its file.
        about: what to see in it, in words, for who cannot see it.
        width, height: of its own coordinates, in px at full size.
    """

    title: str
    about: str
    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> None:
        """Put words with their base line at `y`."""
        chosen = {"class_": class_} if class_ else {}
        self.parts.append(element("text", escape(words), x=x, y=y, text_anchor=anchor, **chosen))

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> None:
        """Draw a straight line."""
        self.parts.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_))

    def rect(
        self, x: float, y: float, width: float, height: float, class_: str, tip: str = ""
    ) -> None:
        """Draw a filled box; `tip` is shown under the pointer."""
        tips = (element("title", escape(tip)),) if tip else ()
        self.parts.append(
            element(
                "rect",
                *tips,
                x=x,
                y=y,
                width=max(width, 0.0),
                height=max(height, 0.0),
                class_=class_,
            )
        )

    def dot(self, x: float, y: float, class_: str, tip: str = "") -> None:
        """Draw a point."""
        tips = (element("title", escape(tip)),) if tip else ()
        self.parts.append(element("circle", *tips, cx=x, cy=y, r=4, class_=class_))

    def path(self, points: Sequence[tuple[float, float]], class_: str) -> None:
        """Draw a line through points."""
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(element("polyline", points=told, class_=class_))

    def svg(self, *, alone: bool = False) -> str:
        """Return the whole picture; `alone`, with its style and background, as a file of its own."""
        name = slug(self.title)
        dressed = (
            (
                element("style", style("svg")),
                '<rect width="100%" height="100%" style="fill:var(--ground)"/>',
            )
            if alone
            else ()
        )
        told = {"xmlns": "http://www.w3.org/2000/svg"} if alone else {}
        return element(
            "svg",
            element("title", escape(self.title), id=f"{name}-title"),
            element("desc", escape(self.about), id=f"{name}-about"),
            *dressed,
            *self.parts,
            **told,
            viewBox=f"{-MARGIN} 0 {self.width + 2 * MARGIN:.0f} {self.height:.0f}",
            width=self.width + 2 * MARGIN,
            height=self.height,
            role="img",
            aria_labelledby=f"{name}-title {name}-about",
        )
