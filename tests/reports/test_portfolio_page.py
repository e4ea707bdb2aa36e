from dataclasses import replace

import pytest
from report_samples import portfolio

from memory_assets.reports.inputs import TREND
from memory_assets.reports.portfolio import render_portfolio, write_portfolio


@pytest.fixture(scope="module")
def found():
    return portfolio()


def test_regressions_lateness_and_failures_need_attention(found):
    text = render_portfolio(found)
    assert "3 of 3 models need attention: churn, claims-triage, digits." in text
    assert "✕ 48 days late" in text
    assert "✓ in 89 days" in text
    assert "v1: 16.5%" in text
    assert 'href="digits/v2/en.html"' in text


def test_a_calm_portfolio_says_so(found):
    audits = tuple(a for a in found.audits if a.verdict == "pass")
    calm = replace(found, audits=audits, due=(), trend=TREND.empty_table())
    text = render_portfolio(calm)
    assert "No model needs attention" in text
    assert "No cadence is set" in text
    assert "<img" not in text


def test_an_empty_history_gives_a_page(found):
    text = render_portfolio(replace(found, audits=(), due=(), trend=TREND.empty_table()))
    assert "No audit has been recorded yet." in text


def test_pages_are_written_in_both_languages_the_same_twice(found, tmp_path):
    first = {k: p.read_bytes() for k, p in write_portfolio(found, tmp_path).items()}
    again = {k: p.read_bytes() for k, p in write_portfolio(portfolio(), tmp_path).items()}
    assert first == again
    assert b'<html lang="ja">' in first["ja"]
