"""Figures that come out the same everywhere: fixed layout, fixed ids, text left to the browser."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

INK, MUTED, RULE, SHADE = "#1f2429", "#57606a", "#c8ced6", "#eceff3"
# Apart in lightness as in hue, and each with its own dash and marker: they survive grey printing.
SERIES: tuple[tuple[str, Any, str], ...] = (
    ("#0b3d91", "-", "o"),
    ("#b4500b", "--", "s"),
    ("#2f7d4f", "-.", "^"),
    ("#7a4aa0", ":", "D"),
    ("#5b6672", (0, (5, 1, 1, 1, 1, 1)), "v"),
    ("#8a7220", (0, (8, 2)), "P"),
    ("#147686", (0, (2, 1)), "X"),
)
WIDTH = 6.0
# Matplotlib brings this font along, so that every machine lays a figure out alike; the reader's
# browser then draws the text in the first font of the stack that it has.
_METRICS_FONT = "DejaVu Sans"
_STACK = (
    "system-ui, 'Segoe UI', 'Hiragino Sans', 'Yu Gothic', Meiryo, 'Noto Sans CJK JP', "
    "'Noto Sans JP', 'DejaVu Sans', sans-serif"
)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "memory-assets",
    "font.family": _METRICS_FONT,
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "hatch.linewidth": 0.6,
    "hatch.color": "#ffffff",
}


def _draw(
    paint: Callable[[Axes], None], height: float, width: float, left: float, below: float = 0.0
) -> Figure:
    figure = Figure(figsize=(width, height + below))
    bottom, total = 0.55 + below, height + below
    axes = figure.add_axes(
        (left / width, bottom / total, 1 - (left + 0.2) / width, 1 - (bottom + 0.35) / total)
    )
    paint(axes)
    return figure


def to_svg(
    paint: Callable[[Axes], None],
    *,
    height: float,
    lang: str,
    width: float = WIDTH,
    left: float = 0.6,
    below: float = 0.0,
) -> str:
    """Paint on axes of a figure `width` x `height` inches and return it as a small SVG.

    `left` is the room in inches for the labels of the vertical axis, `below` what is added under
    the horizontal one. The same painting gives the same text: no date, no random ids.
    """
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The metrics font has no Japanese; the reader's font has.
        warnings.filterwarnings("ignore", message="Glyph")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        _draw(paint, height, width, left, below).savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace("<svg ", f'<svg xml:lang="{lang}" ', 1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return svg.replace(f"'{_METRICS_FONT}'", _STACK)


def to_png(paint: Callable[[Axes], None], *, height: float, width: float, dpi: int = 96) -> bytes:
    """The same painting as a small PNG, for places that show no SVG."""
    buffer = io.BytesIO()
    with mpl.rc_context({**_STYLE, "font.size": 8, "axes.titlesize": 8, "legend.fontsize": 7}):
        figure = _draw(paint, height, width, 0.6)
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    # A plot has few colours: a palette of them is a third of the size.
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(64).save(small, format="png", optimize=True)
    return small.getvalue()
