"""axe on the whole page in headless Chromium, both languages, wide and phone-narrow."""

from __future__ import annotations

import shutil

import pytest
from test_money_report import priced

from memory_assets.reports.page import write_report

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return write_report(priced(), tmp_path_factory.mktemp("report"))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1100, 390])
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_page_passes_axe_and_does_not_overflow(pages, lang, width):
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(pages[lang].as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        options = {"runOnly": {"type": "tag", "values": TAGS}}
        found = axe.Axe().run(page, options=options).response
        browser.close()
    assert found["passes"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []
