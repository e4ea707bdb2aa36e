"""Money and counts of the risk model in words that a reader uses, each with its range."""

from __future__ import annotations

import numpy as np

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.tables import percent
from memory_assets.risk.figure import Figure

_SHARES = ("probability", "ratio", "ratio a year", "metric")


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        text = f"{rounded:,.0f}"
    else:
        text = np.format_float_positional(rounded, precision=3, fractional=False, trim="-")
    return text.replace("-", "−")


def amount(value: float, t: Catalogue) -> str:
    """Three significant digits; large ones in the units that the language counts in."""
    rounded = float(f"{value:.3g}") + 0.0
    for unit in t("amount.units").split(";"):
        size, word = unit.split("|")
        if abs(rounded) >= float(size):
            return _three_digits(rounded / float(size)) + word
    return _three_digits(rounded)


def money(value: float, currency: str, t: Catalogue) -> str:
    """An amount in a currency; less than one unit of it is called next to nothing."""
    if 0 < abs(value) < 1:
        return t("amount.below_one", currency=t.name("currency", currency))
    return t("amount.money", amount=amount(value, t), currency=t.name("currency", currency))


def _word(text: str) -> str:
    """What stands behind a number: the unit that the language counts in."""
    return text.lstrip("−0123456789.,")


def _bare(value: float, t: Catalogue) -> str:
    return t("amount.under_one") if 0 < abs(value) < 1 else amount(value, t)


def quantity(value: float, unit: str, currency: str, t: Catalogue) -> str:
    """A value by the unit that the risk model gives it."""
    if unit.startswith(currency):
        return money(value, currency, t)
    return percent(value) if unit in _SHARES else amount(value, t)


def ranged(
    value: float, low: float, high: float, unit: str, currency: str, t: Catalogue, form: str
) -> str:
    """A value with its range by unit; nothing where the two ends are one."""
    if low == high:
        return quantity(value, unit, currency, t)
    ends = [quantity(end, unit, currency, t) for end in (low, high)]
    bare = [_bare(end, t) for end in (low, high)]
    # A currency that both ends share is named once, unless "16 to 4.8 million" could be misread.
    if unit.startswith(currency) and len({_word(end) for end in bare}) == 1:
        ends[0] = bare[0]
        if not t.texts["amount.money"].endswith("{currency}"):
            ends[1] = bare[1]
    shown = quantity(value, unit, currency, t)
    return t(f"form.{form}", value=shown, low=ends[0], high=ends[1])


def shown(figure: Figure, currency: str, t: Catalogue, form: str = "interval") -> str:
    """A figure with its range; with the form `stacked` the range stands on a second line."""
    if figure.value is None:
        return t("amount.none")
    if figure.low is None or figure.high is None:
        return quantity(figure.value, figure.unit, currency, t)
    return ranged(figure.value, figure.low, figure.high, figure.unit, currency, t, form)


def of(figure: Figure, currency: str, t: Catalogue) -> str:
    """A figure alone, for sentences."""
    if figure.value is None:
        return t("amount.none")
    return quantity(figure.value, figure.unit, currency, t)


def input_name(name: str, t: Catalogue) -> str:
    """What to call an input of a profile by its dotted name."""
    section, _, rest = name.partition(".")
    if section == "options":
        option, _, field = rest.rpartition(".")
        return t("input.of_option", option=t.name("option", option), field=t(f"measure.{field}"))
    return t.name("input", name)
