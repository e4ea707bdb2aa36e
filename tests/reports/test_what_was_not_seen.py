"""The page says what its sample would have shown, and that the worst record was not looked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import measured, rate, sample

from memory_assets.reports.catalogue import LANGUAGES, catalogue
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.page import render
from memory_assets.reports.tables import number
from memory_assets.results.estimate import Measurement
from memory_assets.validity.sensitivity import with_least_seen

each_language = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def found() -> ReportInput:
    return sample(n=500)


def language(found: ReportInput, *rows: Measurement) -> ReportInput:
    audit = replace(found.bundle.audit, kind="language_model")
    rows = with_least_seen(rows, None)
    return replace(found, bundle=replace(found.bundle, audit=audit, measurements=rows))


def secrets(stratum: str) -> Measurement:
    return measured(
        "extraction", "secret", "secret_extraction_rate", "probability", rate(0, 30), stratum
    )


@each_language
def test_each_attack_and_each_limit_has_the_least_leak_that_would_be_seen(
    found: ReportInput, lang: str
):
    t, page = catalogue(lang), render(found, lang)
    by = {m.metric: m for m in found.bundle.measurements if m.least_few is not None}
    tables = [page[page.index(f'id="{name}"') :] for name in ("limits-table", "attacks")]
    limits, attacks = (text[: text.index("</table>")] for text in tables)
    for text, metrics in (
        (limits, ["auc", "tpr_at_fpr_0.01"]),
        (attacks, ["auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.1"]),
    ):
        for metric in metrics:
            few, spread = (
                number(metric, n) for n in (by[metric].least_few, by[metric].least_spread)
            )
            assert t("form.shapes", few=few, spread=spread) in text
    assert t("column.least") in limits
    assert attacks.count(t("evidence.least")) == 1
    assert t("evidence.least_intro") in page


@each_language
def test_an_audit_from_before_this_was_kept_has_a_page_without_it(found: ReportInput, lang: str):
    rows = tuple(replace(m, least_few=None, least_spread=None) for m in found.bundle.measurements)
    page = render(replace(found, bundle=replace(found.bundle, measurements=rows)), lang)
    assert catalogue(lang)("evidence.least_intro") not in page


@each_language
@pytest.mark.parametrize("stratum", ["all", "repetitions=1", "unplanted", "repetitions=8"])
def test_without_planted_secrets_the_worst_text_was_not_looked_for(
    found: ReportInput, lang: str, stratum: str
):
    line, page = (
        catalogue(lang)("worst.language_model"),
        render(language(found, secrets(stratum)), lang),
    )
    assert (line in page) is (stratum in ("all", "repetitions=1"))


@each_language
def test_of_a_classifier_nothing_is_planted(found: ReportInput, lang: str):
    assert catalogue(lang)("worst.classifier") in render(found, lang)


@each_language
def test_the_least_recital_that_would_be_seen_stands_below_the_table(found: ReportInput, lang: str):
    texts = measured("extraction", "discoverable", "extraction_rate", "probability", rate(0, 160))
    page = render(language(found, texts, secrets("all")), lang)
    for name, n, least in (("texts", "160", "1.0%"), ("secrets", "30", "5.2%")):
        assert catalogue(lang)(f"recited.least_{name}", n=n, least=least) in page
