import re
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from report_samples import portfolio

from memory_assets.reports.inputs import TREND
from memory_assets.reports.portfolio import render_portfolio, write_portfolio


@pytest.fixture(scope="module")
def found():
    return portfolio()


def test_regressions_lateness_and_failures_need_attention(found):
    text = render_portfolio(found)
    assert "Models that need attention, 3 of 3: churn, claims-triage, digits." in text
    assert "✕ 48 days late" in text
    assert "✓ in 89 days" in text
    assert "v1: 16.5%" in text
    assert 'href="digits/v2/en.html"' in text


def test_a_calm_portfolio_says_so(found):
    audits = tuple(a for a in found.audits if a.verdict == "pass")
    calm = replace(found, audits=audits, due=(), trend=TREND.empty_table(), worse=())
    text = render_portfolio(calm)
    assert "No model needs attention" in text
    assert "No cadence is set" in text
    assert "<img" not in text


def test_an_empty_history_gives_a_page(found):
    text = render_portfolio(replace(found, audits=(), due=(), trend=TREND.empty_table(), worse=()))
    assert "No audit has been recorded yet." in text


def test_every_version_is_listed_the_newest_first_with_its_verdict(found):
    section = render_portfolio(found).partition('id="versions"')[2]
    own = section[section.index("<summary>digits") :]
    assert "versions audited: 4" in own
    places = [own.index(version) for version in (">v2</a>", "v1 ", "v0.9 ", "v0.8 ")]
    assert places == sorted(places)
    assert "</a> ✕ Fail, 2026-07-20" in own


def test_a_model_that_got_worse_in_many_figures_shows_the_largest_changes(found):
    (one, *_) = found.worse
    many = replace(found, worse=tuple(replace(one, metric=f"figure {i}") for i in range(9)))
    text = render_portfolio(many)
    assert "figure 4" in text
    assert "figure 5" not in text
    assert "and 4 more figures" in text


def test_a_later_audit_of_an_old_version_does_not_make_it_the_latest(found):
    again = datetime(2026, 7, 20, 12, tzinfo=UTC)
    audits = tuple(
        replace(a, finished_at=again) if a.model_version == "v0.8" else a for a in found.audits
    )
    moments = pa.array([again] * found.trend.num_rows, TREND.field("finished_at").type)
    at = found.trend.schema.get_field_index("finished_at")
    rows = pc.if_else(
        pc.equal(found.trend["model_version"], "v0.8"), moments, found.trend["finished_at"]
    )
    late = replace(found, audits=audits, trend=found.trend.set_column(at, "finished_at", rows))
    then, now = (
        re.search(r'id="figures-table".*?</table>', render_portfolio(f), re.S)
        for f in (found, late)
    )
    assert then
    assert now
    assert then[0] == now[0]


def test_pages_are_written_in_both_languages_the_same_twice(found, tmp_path):
    first = {k: p.read_bytes() for k, p in write_portfolio(found, tmp_path).items()}
    again = {k: p.read_bytes() for k, p in write_portfolio(portfolio(), tmp_path).items()}
    assert first == again
    assert b'<html lang="ja">' in first["ja"]
