"""The plots of a report. Each returns an SVG; what it shows is also said by number or symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from memory_assets.reports.canvas import INK, MUTED, RULE, SERIES, SHADE, to_png, to_svg
from memory_assets.reports.catalogue import Catalogue, catalogue
from memory_assets.reports.inputs import RocCurve
from memory_assets.results.estimate import Control

Style = dict[str, Any]

_ROC_BINS_PER_DECADE = 120
_ABOVE, _CHANCE, _NONE = "▲", "○", "–"


@dataclass(frozen=True)
class Point:
    """A value with its interval at one model version; None where nothing could be measured."""

    version: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Series:
    """One attack over the versions of a model."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a heat map: the value to colour by and, above chance or not, its symbol."""

    value: float | None
    above_chance: bool = False


def _percent(value: float, _position: int = 0) -> str:
    return f"{value * 100:.10f}".rstrip("0").rstrip(".") + "%"


def _thin(curve: RocCurve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A ROC from the smallest rate that its non-members can show, at a printable resolution."""
    least = 1 / curve.n_nonmembers
    fpr = np.maximum(curve.fpr, least)
    column = np.round(np.log10(fpr) * _ROC_BINS_PER_DECADE).astype(int)
    last = np.append(np.flatnonzero(np.diff(column)), len(column) - 1)
    return fpr[last], np.maximum.accumulate(curve.tpr[last])


def _paint_roc(axes: Axes, curves: Sequence[RocCurve], t: Catalogue) -> None:
    n = max(c.n_nonmembers for c in curves)
    floor = 1 / (4 * n)
    axes.set(xscale="log", yscale="log", xlim=(floor, 1), ylim=(floor, 1.15))
    axes.axvspan(floor, 1 / n, color=SHADE, zorder=0)
    note = {"color": MUTED, "size": 8, "ha": "center", "va": "top"}
    axes.text(floor * 2, 0.8, t("plot.unresolvable"), **note)
    axes.plot([floor, 1], [floor, 1], color=MUTED, lw=1, ls=(0, (1, 2)), label=t("plot.chance"))
    for curve, (color, dash, _) in zip(curves, SERIES, strict=False):
        x, y = _thin(curve)
        label = t.name("attack", curve.attack)
        # A rate of zero has no place on a logarithmic axis: it leaves the picture at the bottom.
        axes.step(
            x, np.maximum(y, floor / 10), where="post", color=color, ls=dash, lw=1.7, label=label
        )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_percent))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(True)
    axes.set_xlabel(t("plot.fpr"))
    axes.set_title(t("plot.tpr"))
    axes.legend(loc="lower right", handlelength=3)


def roc(curves: Sequence[RocCurve], t: Catalogue) -> str:
    """Log-log ROC of up to seven attacks; what the number of non-members cannot show is shaded."""
    shown = curves[: len(SERIES)]
    return to_svg(lambda axes: _paint_roc(axes, shown, t), height=4.6, lang=t.lang)


def roc_png(curves: Sequence[RocCurve]) -> bytes:
    """The ROC as a PNG under 30 KB, small enough for the event log of an orchestrator."""
    shown, t = curves[: len(SERIES)], catalogue("en")
    return to_png(lambda axes: _paint_roc(axes, shown, t), width=5.2, height=4.2)


def leakage_by_version(series: Sequence[Series], chance: float, title: str, t: Catalogue) -> str:
    """One value with its interval a version and attack; versions from the oldest to the newest."""
    versions = list(dict.fromkeys(p.version for s in series for p in s.points))
    highs = [p.high or p.value or 0.0 for s in series for p in s.points]
    top = max([*highs, chance]) * 1.18

    def paint(axes: Axes) -> None:
        axes.axhline(chance, color=MUTED, lw=1, ls=(0, (1, 2)), label=t("plot.chance"))
        spread = 0.5 / max(len(series), 1)
        for i, (one, (color, _, marker)) in enumerate(zip(series, SERIES, strict=False)):
            offset = (i - (len(series) - 1) / 2) * spread
            points = [p for p in one.points if p.value is not None]
            x = np.array([versions.index(p.version) + offset for p in points])
            y = np.array([p.value for p in points], dtype=float)
            low = np.array([p.value if p.low is None else p.low for p in points], dtype=float)
            high = np.array([p.value if p.high is None else p.high for p in points], dtype=float)
            bars = np.stack([y - low, high - y]).clip(min=0)
            style = {"color": color, "fmt": marker, "ms": 5.5, "lw": 1.5, "capsize": 3}
            axes.errorbar(x, y, yerr=bars, label=one.label, **style)
            missing = [versions.index(p.version) for p in one.points if p.value is None]
            for at in missing:
                axes.text(at + offset, top * 0.02, "?", color=color, ha="center", weight="bold")
        axes.set_xticks(range(len(versions)), versions)
        axes.set(xlim=(-0.6, len(versions) - 0.4), ylim=(0, top))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.grid(True, axis="y")
        axes.set_title(title)
        under = {"loc": "upper left", "bbox_to_anchor": (0, -0.14), "borderaxespad": 0}
        axes.legend(**under, ncols=2, handlelength=1.8)

    return to_svg(paint, height=3.4, lang=t.lang, below=0.45)


def memorization_histogram(
    value: NDArray[np.float64], clear: NDArray[np.bool_], t: Catalogue
) -> str:
    """How many records are memorized how strongly; dark the `clear` ones, for which it is sure."""
    edges = np.linspace(-1, 1, 21)
    dark, total = np.histogram(value[clear], edges)[0], np.histogram(value, edges)[0]

    def paint(axes: Axes) -> None:
        at, width = (edges[:-1] + edges[1:]) / 2, 0.088
        axes.bar(at, dark, width, color=SERIES[0][0], label=t("plot.memorized"))
        unclear: Style = {"color": "#b9c6dc", "hatch": "////", "label": t("plot.not_memorized")}
        axes.bar(at, total - dark, width, bottom=dark, **unclear)
        for x, n in zip(at[total > 0], total[total > 0], strict=True):
            axes.text(x, n * 1.06 + 0.2, str(n), ha="center", va="bottom", size=8, color=MUTED)
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(0, max(total.max() * 2.2, 12))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(min(-0.3, float(value.min()) - 0.05), 1.02)
        axes.grid(True, axis="y")
        axes.set_xlabel(t("plot.memorization"))
        axes.set_title(t("plot.records"))
        axes.legend(loc="upper right")

    return to_svg(paint, height=3.2, lang=t.lang)


def quadrant(
    memorization: NDArray[np.float64], influence: NDArray[np.float64], cut: float, t: Catalogue
) -> str:
    """Each record by how far it is memorized and how far it helps others; `cut` parts them."""
    reach = max(float(np.abs(influence).max()), 1e-6) * 1.35

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.axvline(cut, color=MUTED, lw=0.8, ls="--")
        axes.axvspan(cut, 1.05, ymax=0.5, color=SHADE, zorder=0)
        kept = memorization > cut
        axes.scatter(memorization[~kept], influence[~kept], s=9, color="#8d9aad", lw=0)
        axes.scatter(
            memorization[kept], influence[kept], s=16, color=SERIES[1][0], marker="D", lw=0
        )
        axes.set(xlim=(min(-0.3, float(memorization.min()) - 0.05), 1.05), ylim=(-reach, reach))
        place = {"transform": axes.get_yaxis_transform(), "size": 9, "color": INK, "weight": "bold"}
        axes.text(0.99, reach * 0.9, t("plot.useful"), ha="right", va="top", **place)
        axes.text(0.99, -reach * 0.9, t("plot.leak"), ha="right", va="bottom", **place)
        axes.text(0.01, reach * 0.9, t("plot.general"), ha="left", va="top", **place)
        axes.grid(True)
        axes.set_xlabel(t("plot.memorization"))
        axes.set_title(t("plot.influence"))

    return to_svg(paint, height=3.8, lang=t.lang, left=0.9)


def controls_strip(controls: Sequence[Control], t: Catalogue) -> str:
    """One row a control: its value with interval on 0..1 and, at the right, whether it held."""
    rows = [(c, c.value) for c in controls if c.value is not None and 0 <= c.value <= 1]

    def paint(axes: Axes) -> None:
        for y, (control, value) in enumerate(reversed(rows)):
            low = value if control.ci_low is None else max(control.ci_low, 0)
            high = value if control.ci_high is None else min(control.ci_high, 1)
            color = SERIES[0][0] if control.passed else "#8e1b1b"
            axes.plot([low, high], [y, y], color=color, lw=2.2, solid_capstyle="butt")
            axes.plot(value, y, marker="o" if control.passed else "X", color=color, ms=7)
            word = t("control.passed" if control.passed else "control.failed")
            axes.text(1.03, y, word, va="center", size=9, color=color)
        names = [t.name("control.name", c.control) for c, _ in reversed(rows)]
        axes.set_yticks(range(len(rows)), names)
        axes.set(xlim=(0, 1.25), ylim=(-0.6, len(rows) - 0.4))
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.axvline(0.5, color=MUTED, lw=1, ls=(0, (1, 2)))
        axes.grid(True, axis="x")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(t("plot.control_value"))

    return to_svg(paint, height=1.0 + 0.38 * len(rows), lang=t.lang, left=1.7)


def _wrapped(label: str) -> str:
    """A label over several lines, broken where a name has its joints."""
    return label.replace(", ", ",\n").replace("（", "\n（").replace("、", "、\n")


def heat_map(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]], t: Catalogue
) -> str:
    """Rows by columns: a number, a symbol and, last, a shade in each cell.

    The shades are steps, so that a cell does not change its look for a difference that is noise.
    """
    shades = ("#ffffff", "#e3ebf6", "#bcd0e8", "#86aad4", "#2f5fa3", "#0b3d91")
    steps = (0.005, 0.02, 0.05, 0.1, 0.25)

    def paint(axes: Axes) -> None:
        for y, line in enumerate(cells):
            for x, cell in enumerate(line):
                value = cell.value
                shade = 0 if value is None else int(np.searchsorted(steps, value, "right"))
                box: Style = {"facecolor": shades[shade], "edgecolor": RULE}
                axes.add_patch(Rectangle((x - 0.48, y - 0.45), 0.96, 0.9, **box))
                symbol = _ABOVE if cell.above_chance else _CHANCE
                text = _NONE if value is None else f"{symbol} {value * 100:.1f}%"
                color = "#ffffff" if shade >= 4 else INK
                axes.text(x, y, text, ha="center", va="center", color=color)
        axes.set(xlim=(-0.55, len(columns) - 0.45), ylim=(len(rows) - 0.45, -0.55))
        axes.set_xticks(range(len(columns)), [_wrapped(c) for c in columns])
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)

    width = max(6.0, 2.3 + 1.05 * len(columns))
    height = 0.95 + 0.4 * len(rows)
    return to_svg(paint, height=height, lang=t.lang, width=width, left=2.1, below=0.25)
