"""The plots in money: exceedance, tornado, what audits are worth, and the frontier of options."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from memory_assets.reports.amounts import amount, input_name, money
from memory_assets.reports.canvas import INK, MUTED, SERIES, to_svg
from memory_assets.reports.catalogue import Catalogue
from memory_assets.risk.plan import Depth
from memory_assets.risk.report import OptionResult
from memory_assets.risk.sensitivity import Swing
from memory_assets.risk.tail import Exceedance

_SHORT = 2.5
"""Decades of a logarithmic axis below which 2 and 5 are marked as well."""


def _in_money(t: Catalogue) -> FuncFormatter:
    return FuncFormatter(lambda value, _: amount(value, t))


def _percent(value: float, _: int = 0) -> str:
    return f"{value * 100:.6f}".rstrip("0").rstrip(".") + "%"


def exceedance(
    curves: Sequence[tuple[str, Sequence[Exceedance]]], limit: float, currency: str, t: Catalogue
) -> str:
    """How likely a year's loss is above each amount, with the appetite as an upright line."""

    def paint(axes: Axes) -> None:
        axes.set(xscale="log", yscale="log")
        for (label, curve), (color, dash, marker) in zip(curves, SERIES, strict=False):
            x = [point.loss for point in curve if point.loss > 0]
            y = [point.probability for point in curve if point.loss > 0]
            style = {"color": color, "ls": dash, "marker": marker, "ms": 3.5, "lw": 1.7}
            axes.plot(x, y, label=label, **style)
        axes.axvline(limit, color=INK, lw=1.2, ls=(0, (4, 2)), label=t("plot.appetite"))
        axes.xaxis.set_major_formatter(_in_money(t))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            # Where an axis spans little, powers of ten alone would leave it without a scale.
            short = math.log10(ends[1] / ends[0]) < _SHORT
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if short else (1.0,)))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(True)
        axes.set_xlabel(t("plot.loss_of_a_year", currency=t.name("currency", currency)))
        axes.set_title(t("plot.exceeded_with"))
        axes.legend(loc="lower left", handlelength=3)

    return to_svg(paint, height=3.9, lang=t.lang, left=0.8)


def tornado(swings: Sequence[Swing], currency: str, t: Catalogue) -> str:
    """One bar an input: the yearly net with the input at its low (hatched) and its high end."""

    def paint(axes: Axes) -> None:
        middle = float(np.median([x for s in swings for x in (s.net_at_low, s.net_at_high)]))
        for y, swing in enumerate(reversed(swings)):
            for end, color, hatch, key in (
                (swing.net_at_low, "#b9c6dc", "////", "plot.at_low"),
                (swing.net_at_high, SERIES[0][0], "", "plot.at_high"),
            ):
                label = t(key) if y == 0 else None
                axes.barh(y, end - middle, 0.6, left=middle, color=color, hatch=hatch, label=label)
        axes.axvline(middle, color=INK, lw=0.8)
        axes.set_yticks(range(len(swings)), [input_name(s.name, t) for s in reversed(swings)])
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(_in_money(t))
        axes.grid(True, axis="x")
        axes.set_xlabel(t("plot.net_a_year", currency=t.name("currency", currency)))
        under = {"loc": "upper left", "bbox_to_anchor": (-0.75, -0.2), "borderaxespad": 0}
        axes.legend(**under, ncols=2)

    return to_svg(paint, height=1.1 + 0.34 * len(swings), lang=t.lang, left=2.5, below=0.35)


def audit_worth(depths: Sequence[Depth], currency: str, t: Catalogue) -> str:
    """What an audit's answer is worth and what it costs, by the number of probes."""

    def paint(axes: Axes) -> None:
        x = [d.probes for d in depths]
        for y, key, (color, dash, marker) in (
            ([d.evsi for d in depths], "plot.worth", SERIES[0]),
            ([d.cost for d in depths], "plot.cost", SERIES[1]),
        ):
            axes.plot(x, y, color=color, ls=dash, marker=marker, ms=5, lw=1.7, label=t(key))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_in_money(t))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(_in_money(t))
        axes.set_ylim(bottom=0)
        axes.grid(True)
        axes.set_xlabel(t("plot.probes"))
        axes.set_title(t("plot.money", currency=t.name("currency", currency)))
        axes.legend(loc="upper left", handlelength=3)

    return to_svg(paint, height=3.2, lang=t.lang, left=0.9)


def frontier(
    options: Sequence[OptionResult], efficient: set[str], currency: str, t: Catalogue
) -> str:
    """Leaks a year against value a year; filled what no other option beats, numbered as named.

    What an option costs a year is the size of its mark, and stands beside its name.
    """
    dearest = max((o.cost.value or 0.0 for o in options), default=0.0) or 1.0

    def paint(axes: Axes) -> None:
        places: dict[tuple[str, str], list[int]] = {}
        at: dict[tuple[str, str], tuple[float, float]] = {}
        for nth, option in enumerate(options, start=1):
            x, y = option.leaks.value or 0.0, option.value.value or 0.0
            kept = option.name in efficient
            color = SERIES[0][0] if kept else "#ffffff"
            cost = option.cost.value or 0.0
            size = 45 + 155 * cost / dearest
            style = {"marker": "o" if kept else "s", "edgecolors": SERIES[0][0], "s": size}
            axes.scatter(x, y, color=color, zorder=3 + kept, **style)
            # Options that leak and earn alike share one place and one label.
            place = (f"{x:.2g}", f"{y:.2g}")
            places.setdefault(place, []).append(nth)
            at.setdefault(place, (x, y))
            name = t(
                "plot.numbered",
                nth=nth,
                option=t.name("option", option.name),
                cost=money(cost, currency, t),
            )
            axes.plot([], [], marker="", ls="", label=name)
        for place, numbers in places.items():
            label = ", ".join(map(str, numbers))
            beside = {"xytext": (7, 5), "textcoords": "offset points", "size": 9}
            axes.annotate(label, at[place], color=INK, **beside)
        axes.margins(0.14)
        axes.xaxis.set_major_formatter(_in_money(t))
        axes.yaxis.set_major_formatter(_in_money(t))
        axes.grid(True, color="#e3e7ec")
        axes.set_xlabel(t("plot.leaks_a_year"))
        axes.set_title(t("plot.value_a_year", currency=t.name("currency", currency)), color=MUTED)
        under = {"loc": "upper left", "bbox_to_anchor": (-0.1, -0.24), "borderaxespad": 0}
        axes.legend(**under, ncols=1, handlelength=0)

    below = 0.55 + 0.2 * len(options)
    return to_svg(paint, height=2.45 + below, lang=t.lang, left=0.95, below=below)
