"""The real UI in headless Chromium: look at a subject, materialize from there, see the checks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import automation_projects as tiny
import pytest
from test_daemon import audits, daemon, project, wait_for

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("daemon"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
__all__ = ["project"]  # a fixture


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that containers rarely give; the pages are ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.context.set_default_timeout(60_000)
        yield page
        browser.close()


def test_a_subject_is_explored_materialized_and_checked(project: Path, page: Page):
    tiny.write_checkpoint(project / "tiny", "v1", seed=1)
    with daemon(project) as (_, port):
        wait_for(lambda: len(audits(project)) == 1, project)
        base = f"http://127.0.0.1:{port}"

        page.goto(f"{base}/locations/memory_assets/asset-groups/tiny/lineage")
        for name in ("source", "dataset", "shadow_models", "attack_scores", "leakage"):
            expect(page.get_by_text(name, exact=True).first).to_be_visible(timeout=60_000)

        page.goto(f"{base}/assets/tiny/dataset")
        expect(page.get_by_text("Columns").first).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Materialize").first.click()
        page.get_by_text("Launched run").first.wait_for()
        page.goto(f"{base}/runs/")
        expect(page.get_by_text("Success").first).to_be_visible(timeout=120_000)

        page.goto(f"{base}/assets/tiny/roi_report?view=checks")
        for name in ("gate", "regression", "control_negative", "control_positive"):
            expect(page.get_by_text(name, exact=True).first).to_be_visible(timeout=60_000)

        for result in ("Failed", "Succeeded"):  # the gate's, and that nothing got worse
            expect(page.get_by_text(result, exact=True).first).to_be_visible()

        page.goto(f"{base}/assets/tiny/roi_report?view=partitions&partition=v1")
        report = page.get_by_text("/reports/tiny/v1/en.html").first
        with page.context.expect_page() as opened:
            report.click()
        expect(opened.value.get_by_role("heading", level=1)).to_contain_text("tiny")

        page.goto(f"{base}/assets/tiny/leakage?view=partitions&partition=v1")
        answer = page.get_by_text("/questions/how_was_it_made").first
        with page.context.expect_page() as opened:
            answer.click()
        expect(opened.value.get_by_text("pool_digest").first).to_be_visible()
