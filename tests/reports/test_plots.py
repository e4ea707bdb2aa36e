import struct
import warnings
import xml.etree.ElementTree as ET
from functools import cache

import numpy as np
import pytest
from report_samples import attacks, controls

from memory_assets.reports import plots
from memory_assets.reports.catalogue import catalogue
from memory_assets.reports.plots import Cell, Point, Series

pytestmark = pytest.mark.slow

SERIES = (Series("LiRA", (Point("v1", 0.05, 0.03, 0.08), Point("v2", None, None, None))),)


@cache
def drawings(lang: str) -> dict[str, str]:
    t = catalogue(lang)
    rng = np.random.default_rng(0)
    value = rng.uniform(-0.2, 1, 200)
    return {
        "roc": plots.roc(attacks(200, 1.0, 0)[1], t),
        "versions": plots.leakage_by_version(SERIES, 0.01, "TPR", t),
        "histogram": plots.memorization_histogram(value, value > 0.5, t),
        "quadrant": plots.quadrant(value, rng.normal(size=200), 0.25, t),
        "controls": plots.controls_strip(controls(False), t),
        "heat": plots.heat_map(["v1"], ["A", "B"], [[Cell(0.3, True), Cell(None)]], t),
    }


def texts(svg: str) -> str:
    root = ET.fromstring(svg)
    return " ".join(e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_plot_is_the_same_twice_and_draws_without_a_warning(lang):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = drawings(lang), drawings.__wrapped__(lang)
    assert first == second
    assert all(f'xml:lang="{lang}"' in svg for svg in first.values())


def test_text_stays_text_in_the_language_of_the_page():
    t, drawn = catalogue("ja"), drawings("ja")
    assert t("plot.fpr") in texts(drawn["roc"])
    assert t("plot.leak") in texts(drawn["quadrant"])
    assert t("control.failed") in texts(drawn["controls"])


def test_heat_map_says_by_number_and_symbol_what_it_says_by_shade():
    assert "▲ 30.0%" in texts(drawings("en")["heat"])
    assert "–" in texts(drawings("en")["heat"])


def test_a_version_without_a_value_is_marked_and_not_drawn_as_zero():
    assert "?" in texts(drawings("en")["versions"])


def test_no_curve_is_drawn_below_what_the_non_members_can_show():
    curve = attacks(200, 1.0, 0)[1][0]
    fpr, tpr = plots._thin(curve)
    assert fpr.min() == pytest.approx(1 / 200)
    at = curve.fpr <= 0.1
    assert tpr[fpr <= 0.1].max() == curve.tpr[at].max()


def test_roc_as_png_is_small_and_the_same_twice():
    curves = attacks(800, 1.0, 0)[1]
    png = plots.roc_png(curves)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) >= (300, 200)
    assert len(png) < 30_000
    assert png == plots.roc_png(curves)
