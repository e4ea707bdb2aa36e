"""The report's sections on money, in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import cache
from html import unescape
from itertools import pairwise

import pytest
from report_samples import sample

from memory_assets.reports.amounts import amount, money, shown
from memory_assets.reports.catalogue import catalogue
from memory_assets.reports.governance import audit_plan
from memory_assets.reports.inputs import ActionLine, ReportInput
from memory_assets.reports.money import options_compared
from memory_assets.reports.page import render
from memory_assets.reports.summary import summary
from memory_assets.results.estimate import Estimate
from memory_assets.risk.evidence import Evidence, Membership, Stratum, Utility
from memory_assets.risk.figure import Figure, absent
from memory_assets.risk.plan import Rounds
from memory_assets.risk.pricing import price
from memory_assets.risk.reading import load_profile

SECTIONS = ("value", "losses", "options", "insurance", "audit_plan", "compliance", "actions")


@cache
def priced(verdict: str = "fail", profile_name: str = "healthcare-jp") -> ReportInput:
    found = sample(verdict)
    profile = load_profile(profile_name)
    evidence = Evidence(
        audit_id=found.bundle.audit.audit_id,
        verdict=verdict,
        strata=(Stratum("1 copy", 1, 1000, 0.95), Stratum("10+ copies", 12, 300, 0.05)),
        membership=Membership("lira_online", tp=40, members=1000, fp=5, non_members=1000),
        utility=Utility("accuracy", Estimate(0.90, 0.88, 0.92, n=1000, k=900), 0.99),
    )
    action = ActionLine(
        "v2", "corrective action", "X-1", "Y-1", "open", date(2026, 9, 1), date(2026, 7, 21)
    )
    bundle = replace(found.bundle, audit=replace(found.bundle.audit, findings=()))
    return replace(
        found,
        bundle=bundle,
        risk=price(evidence, profile, years=3000),
        profile=profile,
        actions=(action,),
    )


@pytest.fixture(scope="module")
def found() -> ReportInput:
    return priced()


@pytest.fixture(scope="module", params=["en", "ja"])
def page(request, found) -> tuple[str, str]:
    return request.param, render(found, request.param)


def words(html: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", body))


def test_every_section_is_there_in_both_languages(page):
    lang, html = page
    t = catalogue(lang)
    for name in (*SECTIONS, "checklist"):
        assert f'id="{name}"' in html
        assert t(f"section.{name}") in html
    assert t("decision.heading") in html


def test_page_with_money_stays_accessible_and_self_contained(page):
    _, html = page
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert not re.search(r"<script|<iframe|<link|https?://", html)
    images = re.findall(r"<img [^>]*>", html)
    assert len(images) >= 9
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert all("scope=" in cell for cell in re.findall(r"<th[ >][^>]*>?", html))


def test_japanese_page_shows_no_english_sentence_of_the_risk_model(found):
    html = words(render(found, "ja"))
    risk = found.risk
    assert risk is not None
    assert risk.gate is not None
    assert risk.plan is not None
    english = [*risk.gate.reasons, risk.plan.reason, risk.title, *(i.note for i in risk.inputs)]
    english += [f.note for option in risk.options for _, f in option.figures()]
    assert not [text for text in english if text and text in html]
    # Names of attacks, digests, ids and abbreviations are no sentences: two words in a row are.
    sentences = re.findall(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}", html)
    described = found.description
    assert not [s for s in sentences if s not in described and s not in found.name]


def test_same_input_gives_the_same_bytes(found):
    assert render(found, "ja") == render(priced.__wrapped__(), "ja")


def test_money_is_no_leave_to_break_a_limit(found):
    t = catalogue("en")
    rich = replace(found.risk, gate=replace(found.risk.gate, choice="go"))  # type: ignore
    html = words(render(replace(found, risk=rich)))
    assert t("decision.limits_broken") in html
    assert t("decision.label_money_only", label=t("decision.label_go")) in html
    still_open = replace(found.bundle, audit=replace(found.bundle.audit, verdict="inconclusive"))
    html = words(render(replace(found, risk=rich, bundle=still_open)))
    assert t("decision.limits_open") in html
    assert t("decision.label_money_only", label=t("decision.label_go")) in html
    passed = replace(found.bundle, audit=replace(found.bundle.audit, verdict="pass"))
    html = words(render(replace(found, risk=rich, bundle=passed)))
    assert t("decision.limits_broken") not in html


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_insufficient_evidence_prices_nothing(lang):
    html = render(priced("insufficient evidence"), lang)
    assert catalogue(lang)("decision.insufficient") in words(html)
    assert 'id="losses"' not in html
    assert 'id="options"' not in html
    assert "円" not in words(html).replace("円グラフ", "")
    assert "JPY" not in words(html)


def test_compliance_is_never_claimed_and_open_points_are_shown(found):
    t = catalogue("en")
    html = words(render(found))
    assert t("compliance.intro") in html
    assert not re.search(r"\b(complies|is compliant|conforms)\b", html)
    assert t("signoff.none") in html


def test_actions_and_sign_off_are_shown(found):
    signed = ActionLine("v2", "sign-off", "R-1", "S-1", "done", None, date(2026, 7, 22), True)
    html = words(render(replace(found, actions=(*found.actions, signed))))
    assert catalogue("en")("signoff.none") not in html
    assert all(text in html for text in ("X-1", "Y-1", "R-1", "S-1"))


def test_a_sign_off_of_an_earlier_audit_signs_nothing_here(found):
    t, version = catalogue("en"), found.bundle.audit.model_version
    day = date(2026, 7, 22)
    now, before = (
        render(
            replace(
                found,
                actions=(ActionLine(version, "sign-off", "R", "S", "done", None, day, this),),
            )
        )
        for this in (True, False)
    )
    assert t("signoff.none") in words(before)
    assert t("signoff.earlier") in words(before)
    assert t("signoff.earlier") not in words(now)
    # EDPB 58 and ISO 42001 have evidence by a signature alone.
    states = [html.count(f">{t('state.evidence')}<") for html in (now, before)]
    assert states[0] - states[1] == 2


def test_hostile_actions_are_text(found):
    evil = replace(found.actions[0], description="<script>alert(1)</script>")
    assert "<script" not in render(replace(found, actions=(evil,)))


@pytest.mark.parametrize(
    ("value", "english", "japanese"),
    [
        (0.0, "0", "0"),
        (0.0000018, "0.0000018", "0.0000018"),
        (268_123.0, "268,000", "26.8万"),
        (1_234_567.0, "1.23 million", "123万"),
        (-999_999.0, "−1 million", "−100万"),
        (345_678_901.0, "346 million", "3.46億"),
    ],
)
def test_amounts_in_the_units_of_the_language(value, english, japanese):
    assert amount(value, catalogue("en")) == english
    assert amount(value, catalogue("ja")) == japanese


@pytest.mark.parametrize(
    ("low", "high", "english", "japanese"),
    [
        (152_000, 443_000, "152,000 to 443,000", "15.2万〜44.3万米ドル"),
        # "16 to 4.8 million" must not be read as 16 million.
        (16, 4.8e6, "USD 16 to USD 4.8 million", "16米ドル〜480万米ドル"),
        (0.4, 900, "less than 1 USD to USD 900", "1米ドル未満〜900米ドル"),
    ],
)
def test_a_range_names_its_currency_once_where_both_ends_count_alike(low, high, english, japanese):
    figure = Figure(277_000, low, high, "USD a year", "assumed", "futures")
    assert shown(figure, "USD", catalogue("en")) == f"USD 277,000 ({english})"
    assert shown(figure, "USD", catalogue("ja")) == f"27.7万米ドル（{japanese}）"


def test_money_below_one_unit_is_not_called_nothing():
    assert money(0.2, "JPY", catalogue("ja")) == "1円未満"
    assert money(0.0, "USD", catalogue("en")) == "USD 0"


def planned(lang: str, **plan) -> str:
    """The section on the audit plan where the plan is another one."""
    found = priced()
    risk = replace(found.risk, plan=replace(found.risk.plan, **plan))  # type: ignore
    return words(str(audit_plan(replace(found, risk=risk), catalogue(lang))))


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_two_recommendations_of_the_plan_do_not_contradict_each_other(lang):
    t = catalogue(lang)
    rounds = Rounds(300, 0.5, 0.95, 1.0)
    both = planned(lang, depth=0, between=rounds, evpi=1.0, audits_per_release=0.5)
    cadence = t("plan.cadence", hazard="0.3", probes="300", months="6")
    assert t("plan.too_dear") in both
    assert cadence + t("form.gap") + t("plan.two_questions") in both
    assert t("plan.not_every_release") in both
    assert t("plan.per_release", audits="0.5") in both
    agreed = planned(lang, depth=1000, between=rounds, audits_per_release=1.0)
    assert t("plan.two_questions") not in agreed
    assert t("plan.every_release") in agreed
    assert t("plan.only_by_policy") in planned(lang, depth=0, between=None, audits_per_release=0.0)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_planned_depth_stands_beside_the_depth_that_was_run_and_is_advice(lang):
    t = catalogue(lang)
    rounds = Rounds(300, 0.5, 0.95, 1.0)
    both = planned(lang, depth=3000, between=rounds, audits_per_release=1.0)
    asked = t("plan.at_a_release", probes="3,000"), t("plan.between_releases", probes="300")
    assert t("plan.depth", ran="1,300", planned=t("form.separator").join(asked)) in both
    assert t("plan.depth_is_advice", setting="pool.pairs") in both
    nothing = planned(lang, depth=0, between=None, audits_per_release=0.0)
    assert t("plan.depth_open", ran="1,300") in nothing


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_break_even_questions_are_shown_where_no_value_was_measured_too(found, lang):
    t = catalogue(lang)
    risk = found.risk
    as_is = replace(risk.options[0], value=absent("JPY", "measured", "nothing was measured"))
    unvalued = replace(found, risk=replace(risk, options=(as_is, *risk.options[1:])))
    html = str(options_compared(unvalued, t))
    cells = words(html[html.index('id="options-return"') :])
    assert t("column.pays_from") in cells
    pays = [o.break_even_queries.value for o in risk.options[1:] if o.break_even_queries.value]
    assert pays
    assert all(amount(value, t) in cells for value in pays)
    asked = next(line.mean for line in risk.inputs if line.name == "exposure.queries")
    assert t("options.pays_from", queries=amount(asked, t)) in words(html)


# Terms that a manager has not met: page one does without them, and the sections may use them.
VOCABULARY = {
    "en": r"TPR|FPR|AUC|ROC|PPV|NPV|VaR|ROSI|EVSI|epsilon|posterior|percentile|shadow|generali[sz]"
    r"|LiRA|RMIA|BaVarIA|membership|exceedance|net present|expected loss|appetite|tpr_at|_fpr_",
    "ja": r"TPR|FPR|AUC|ROC|PPV|VaR|EVSI|イプシロン|シャドウ|汎化|メンバーシップ|正味現在|期待損失"
    r"|許容度|投資対効果|超過確率|信頼区間|偽陽性|真陽性|LiRA|RMIA|BaVarIA",
}


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive", "insufficient evidence"])
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_page_one_is_read_aloud_without_the_vocabulary(verdict, lang):
    found = priced(verdict)
    html = str(summary(found, catalogue(lang)))
    assert len(html) > 500
    assert re.findall(VOCABULARY[lang], html, re.IGNORECASE if lang == "en" else 0) == []


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_what_rests_on_a_value_that_nobody_measured_is_not_known(found, lang):
    as_is = found.risk.options[0]
    unknown = replace(as_is, value=absent("USD", "measured", "nothing held out was measured"))
    risk = replace(found.risk, options=(unknown, *found.risk.options[1:]), break_even_growth=None)
    page = render(replace(found, risk=risk), lang)
    t = catalogue(lang)
    assert page.count(t("decision.unmeasured")) == 4  # earned, left, its chance, room for growth
    assert t("decision.no_growth") not in page
