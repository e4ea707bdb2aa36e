"""Tables of measurements: every number with its interval, every status in words."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from great_tables import GT

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.markup import Html, el
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.metrics import find, rate_of

_NEXT_TO_NOTHING = 5e-6
_MANY = 1000.0


def _minus(text: str) -> str:
    return text.replace("-", "−")


def fixed(value: float) -> str:
    """A value with three decimals, for columns that are compared down the page."""
    return _minus(f"{round(value, 3) + 0.0:.3f}")


def percent(value: float) -> str:
    """A share as a percentage with about two significant digits."""
    shown = value * 100
    size = abs(shown)
    digits = 0 if size >= 99.95 or size == 0 else 1 if size >= 1 else 2 if size >= 0.1 else 3
    return _minus(f"{shown:.{digits}f}%")


def number(metric: str, value: float) -> str:
    """A value as its metric is usually written: in percent, with three decimals, or two digits."""
    known = find(metric)
    if known is not None and known.percent:
        return percent(value)
    if abs(value) >= _MANY:
        return _minus(f"{value:,.0f}")
    if abs(value) >= 0.01 or abs(value) < _NEXT_TO_NOTHING:
        return fixed(value)
    return _minus(np.format_float_positional(value, precision=2, fractional=False, trim="-"))


def chosen(rate: float) -> str:
    """A rate that somebody set, not measured: as it was written."""
    return f"{rate * 100:g}%"


def count(value: int) -> str:
    return f"{value:,}"


def metric_label(metric: str, t: Catalogue) -> str:
    """The name of a metric; one that carries a rate is named by its stem and that rate."""
    rate = rate_of(metric)
    stem = metric[: metric.rindex("_")] if rate is not None else metric
    key = f"metric.{stem}"
    if key not in t.texts:
        return metric
    return t(key, rate="" if rate is None else chosen(rate))


def estimate_cell(metric: str, estimate: Estimate, t: Catalogue, form: str = "interval") -> str:
    """One estimate in a cell: its number with its interval, or in words why there is none.

    With the form `stacked` the interval stands on a second line.
    """
    if estimate.value is None:
        return t(f"status.{estimate.status}", n=count(estimate.n))
    shown = number(metric, estimate.value)
    if estimate.ci_low is not None and estimate.ci_high is None:
        shown = t("form.at_least", value=shown)
    elif estimate.ci_low is not None and estimate.ci_high == 1 and estimate.value < 1:
        # A share that is bounded from below alone.
        low = t("form.at_least", value=number(metric, estimate.ci_low))
        note = low if estimate.ci_low > 0 else t("status.vacuous_note")
        shown = t("form.noted", value=shown, note=note)
    elif estimate.ci_low is not None and estimate.ci_low != estimate.ci_high:
        low, high = number(metric, estimate.ci_low), number(metric, estimate.ci_high or 0.0)
        shown = t(f"form.{form}", value=shown, low=low, high=high)
    if estimate.status in ("vacuous", "at_ceiling", "unresolvable"):
        noted = "form.noted_below" if form == "stacked" else "form.noted"
        return t(noted, value=shown, note=t(f"status.{estimate.status}_note"))
    return shown


def table(
    name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 0
) -> Html:
    """A table with a header for every column and row, in a box of its own that scrolls.

    `name` is its id in the page, `title` what a screen reader calls it; the last `words` columns
    hold sentences and wrap, all others stay on one line. Every cell is escaped.
    """
    keys = [f"c{i}" for i in range(len(columns))]
    data = pa.table({k: [row[i] for row in rows] for i, k in enumerate(keys)})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PyArrow Table support", category=UserWarning)
        gt = GT(data, rowname_col=keys[0], id=name, auto_align=False)
        gt = gt.tab_stubhead(columns[0]).cols_label(dict(zip(keys[1:], columns[1:], strict=True)))
        html = gt.cols_align("left").as_raw_html()
    # The page styles all tables at once; the rule sheet that comes with each is not needed.
    body = html[html.index("<table") : html.index("</table>") + len("</table>")]
    body = re.sub(r' (data-quarto-[\w-]+|style|aria-labelledby)="[^"]*"', "", body)
    marks = f"scroll words-{words}" if words else "scroll"
    return el(
        "div", Html(body), id=name, class_=marks, role="region", tabindex="0", aria_label=title
    )


def pivot(
    name: str,
    title: str,
    measurements: Sequence[Measurement],
    metrics: Sequence[str],
    t: Catalogue,
    *,
    group: str,
    first: str,
) -> Html:
    """One row a name (and stratum), one column a metric, and the sample behind the first.

    `group` is where the catalogue keeps the names of the rows, `first` the header over them.
    """
    shown = [m for m in measurements if m.metric in metrics]
    lines = list(dict.fromkeys((m.name, m.stratum) for m in shown))
    cells = {(m.name, m.stratum, m.metric): m.estimate for m in shown}
    rows = []
    for line, stratum in lines:
        label = t.name(group, line)
        if stratum != "all":
            label = t("form.noted", value=label, note=t.name("stratum", stratum))
        estimates = [cells.get((line, stratum, metric)) for metric in metrics]
        size = next(e.n for e in estimates if e is not None)
        texts = [
            "" if e is None else estimate_cell(m, e, t, "stacked")
            for m, e in zip(metrics, estimates, strict=True)
        ]
        rows.append([label, count(size) if size else "", *texts])
    columns = [first, t("column.n"), *(metric_label(m, t) for m in metrics)]
    return table(name, title, columns, rows)
