import hashlib
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pyarrow as pa
import pytest
from report_samples import measured, rate, sample

from memory_assets.errors import InputError
from memory_assets.reports.catalogue import catalogue
from memory_assets.reports.inputs import TREND, ReportInput
from memory_assets.reports.page import render, verify, write_report
from memory_assets.reports.translated import translated
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import legacy
from memory_assets.results.gate_results import GateResult
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.validity.verdict import Gate, decide

HOSTILE = '<script>alert("x")</script>&{name}'
VOID = {"meta", "img", "br", "hr"}


class Page(HTMLParser):
    """Every element with its attributes; unbalanced tags are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def found() -> ReportInput:
    return sample("fail")


@pytest.fixture(scope="module")
def brief(found) -> ReportInput:
    """The same audit without what is drawn or listed: for tests of words."""
    bundle = replace(found.bundle, record_scores=RECORD_SCORES.empty_table(), controls=())
    return replace(found, bundle=bundle, curves=(), trend=TREND.empty_table())


@pytest.fixture(scope="module", params=["en", "ja"])
def page(request, found) -> tuple[str, Page]:
    return request.param, Page(render(found, request.param))


def with_measurements(found: ReportInput, measurements) -> ReportInput:
    """Only these measurements, and the limits that speak of them judged as an audit does."""
    there = {m.metric for m in measurements}
    limits = {metric: limit for metric, limit in found.gate.items() if metric in there}
    judged = decide(measurements, (), Gate(limits)).results
    bundle = replace(found.bundle, measurements=tuple(measurements), gate_results=judged)
    return replace(found, bundle=bundle, gate=limits)


def test_page_is_accessible_html_in_its_language(page):
    lang, html = page
    assert html.all("html")[0]["lang"] == lang
    assert len(html.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in html.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image["alt"] for image in html.all("img"))
    assert len(html.all("img")) == 6
    assert all(cell["scope"] in {"col", "row"} for cell in html.all("th"))
    ids = [attrs["id"] for _, attrs in html.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    scrolling = [a for a in html.all("div") if "scroll" in (a.get("class") or "")]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolling)


def test_page_is_self_contained(page):
    _, html = page
    names = {tag for tag, _ in html.elements}
    assert not names & {"script", "link", "iframe", "object", "form"}
    targets = [v for _, attrs in html.elements for k, v in attrs.items() if k in {"href", "src"}]
    assert all(v and v.startswith(("#", "data:image/svg+xml;base64,")) for v in targets)
    ids = {attrs["id"] for _, attrs in html.elements if "id" in attrs}
    assert {v[1:] for v in targets if v and v.startswith("#")} <= ids


def test_japanese_page_shows_no_english_of_the_audit(found):
    text = " ".join(Page(render(found, "ja")).text)
    assert found.bundle.audit.reason not in text
    assert not [c.detail for c in found.bundle.controls if c.detail in text]


@pytest.mark.parametrize("verdict", ["fail", "insufficient evidence"])
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_what_the_audit_wrote_down_stands_in_the_language_of_the_page(verdict, lang):
    """The sentence of every check, and what decided the verdict; none is left out as unreadable."""
    found, t = sample(verdict), catalogue(lang)
    text = " ".join(" ".join(Page(render(found, lang)).text).split())
    for control in found.bundle.controls:
        for sentence in translated(control.findings, t):
            assert " ".join(sentence.split()) in text
    decided = translated(found.bundle.audit.findings, t)
    assert (decided[0] in text) is (verdict == "fail")
    assert t("control.unread") not in text


def test_same_input_gives_the_same_bytes(found):
    assert render(found, "ja") == render(sample("fail"), "ja")


@pytest.mark.parametrize(
    ("verdict", "opening"),
    [
        ("pass", "Digits classifier, version v2, stays within its agreed limits: the strongest"),
        ("fail", "Digits classifier, version v2, exceeds its agreed limits: the strongest"),
        ("inconclusive", "Digits classifier, version v2, cannot be judged yet: the strongest"),
        (
            "insufficient evidence",
            "There is no verdict on Digits classifier, version v2: the audit failed 1 of its 5",
        ),
    ],
)
def test_verdict_opens_the_page_as_one_sentence(found, brief, verdict, opening):
    first = replace(found.bundle.controls[0], passed=verdict != "insufficient evidence")
    bundle = replace(
        brief.bundle,
        audit=replace(brief.bundle.audit, verdict=verdict),
        controls=(first, *found.bundle.controls[1:]),
    )
    assert opening in render(replace(brief, bundle=bundle))


def test_attacks_that_a_control_withholds_are_marked_and_are_no_headline(found, brief):
    """The verdict rests on something else, such as what is recited."""
    withheld = "The figures of this section are withheld"
    assert withheld not in render(brief)
    failed = replace(found.bundle.controls[3], passed=False)
    bundle = replace(
        brief.bundle,
        audit=replace(brief.bundle.audit, verdict="pass"),
        controls=(*found.bundle.controls[:3], failed),
    )
    text = render(replace(brief, bundle=bundle))
    assert withheld in text
    assert "stays within its agreed limits: the strongest" not in text


def test_without_a_verdict_no_figure_is_called_a_finding(brief):
    audit = replace(brief.bundle.audit, verdict="insufficient evidence")
    text = render(replace(brief, bundle=replace(brief.bundle, audit=audit)))
    assert "with 95% confidence the true figure" in render(brief)
    assert "with 95% confidence the true figure" not in text
    assert "Do not decide anything on the figures below." in text


def test_headline_speaks_in_whole_records(brief):
    own = [measured("membership", "loss", "tpr_at_fpr_0.01", "probability", rate(34, 800))]
    text = render(with_measurements(brief, own))
    assert "recognises about 4 of every 100 training records" in text
    assert "no more than 1 of every 100 others" in text
    assert "4.2%\n3.0% to 5.9%" in text


def test_without_limits_there_is_no_talk_of_passing(brief):
    audit = replace(brief.bundle.audit, verdict="inconclusive")
    bundle = replace(brief.bundle, audit=audit)
    text = render(replace(brief, bundle=bundle, gate={}))
    assert "No limits were agreed for Digits classifier" in text
    assert "Do not read this as a pass." not in text


def test_what_cannot_be_resolved_is_said_in_words_and_decides_nothing(brief):
    own = [
        measured(
            "membership", "loss", "tpr_at_fpr_0.001", "probability", Estimate.unresolvable(800)
        )
    ]
    text = render(with_measurements(replace(brief, gate={"tpr_at_fpr_0.001": 0.01}), own))
    assert "not resolvable\n(n = 800)" in text
    assert "? inconclusive" in text
    assert "no attack gave a rate" in text


@pytest.mark.parametrize(("k", "outcome"), [(2, "✓ pass"), (80, "✕ fail"), (17, "? inconclusive")])
def test_a_limit_is_judged_by_the_whole_interval(brief, k, outcome):
    own = [measured("membership", "loss", "tpr_at_fpr_0.01", "probability", rate(k, 800))]
    text = render(with_measurements(replace(brief, gate={"tpr_at_fpr_0.01": 0.02}), own))
    assert {"✓ pass", "✕ fail", "? inconclusive"} & set(re.findall(r">([✓✕?] \w+)<", text)) == {
        outcome
    }


def test_hostile_names_are_text(found):
    scores = found.bundle.record_scores.to_pylist()
    for row in scores:
        row["record_id"] = HOSTILE + row["record_id"]
    audit = replace(found.bundle.audit, model_version=HOSTILE, findings=legacy(HOSTILE))
    control = Control(HOSTILE, False, 0.7, 0.6, 0.8, legacy(HOSTILE))
    bundle = replace(
        found.bundle,
        audit=audit,
        controls=(control,),
        record_scores=pa.Table.from_pylist(scores, schema=RECORD_SCORES),
    )
    hostile = replace(found, bundle=bundle, title=HOSTILE, artifacts={HOSTILE: HOSTILE})
    html = Page(render(hostile))
    assert not html.all("script")
    assert HOSTILE in "".join(html.text)


def test_only_ids_of_training_records_are_listed(found):
    html = render(found)
    listed = set(re.findall(r"r\d{5}", html))
    members = {row["record_id"] for row in found.bundle.record_scores.to_pylist() if row["member"]}
    assert len(listed) == 12
    assert listed <= members


def test_a_failed_audit_with_nothing_in_it_still_gives_a_page(found):
    bundle = replace(
        found.bundle,
        measurements=(),
        controls=(),
        record_scores=RECORD_SCORES.empty_table(),
        audit=replace(found.bundle.audit, verdict="insufficient evidence"),
    )
    for lang in ("en", "ja"):
        html = Page(render(ReportInput(bundle=bundle, trend=TREND.empty_table()), lang))
        assert not html.all("img")


def test_coverage_lists_what_was_not_run(brief):
    text = render(brief)
    assert "Quantile regression" in text
    assert "not selected for this audit" in text
    assert "Attribute inference" in text
    assert "no test for this threat in this version" in text


def test_change_needs_intervals_that_do_not_touch(brief):
    at = brief.bundle.audit.finished_at.replace(month=1)
    row = {
        "subject": "digits",
        "model_version": "v1",
        "finished_at": at,
        "attack": "loss",
        "metric": "tpr_at_fpr_0.01",
        "status": "ok",
    }
    own = [measured("membership", "loss", "tpr_at_fpr_0.01", "probability", rate(80, 800))]
    for low, high, word in (
        (0.01, 0.03, "rose"),
        (0.2, 0.3, "fell"),
        (0.05, 0.11, "may be chance"),
    ):
        before = row | {"value": (low + high) / 2, "ci_low": low, "ci_high": high}
        trend = pa.Table.from_pylist([before], schema=TREND)
        assert word in render(replace(with_measurements(brief, own), trend=trend, curves=()))


def test_report_is_written_privately_and_verifies_until_it_is_touched(found, tmp_path):
    paths = write_report(found, tmp_path / "digits" / "v2")
    assert {lang: path.name for lang, path in paths.items()} == {"en": "en.html", "ja": "ja.html"}
    assert sorted(p.name for p in paths["en"].parent.iterdir()) == ["en.html", "ja.html"]
    path = paths["en"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert verify(path)
    page = path.read_bytes()
    seal = re.search(rb'id="report-sha256">([0-9a-f]{64})<', page)
    assert seal
    assert hashlib.sha256(page.replace(seal[1], b"0" * 64)).hexdigest() == seal[1].decode()
    path.write_bytes(page.replace(b"exceeds its", b"is within", 1))
    assert not verify(path)


def test_an_unknown_language_writes_nothing(found, tmp_path):
    with pytest.raises(InputError, match="'fr'"):
        write_report(found, tmp_path / "r", ("en", "fr"))
    assert not (tmp_path / "r").exists()


def test_verify_refuses_what_is_not_a_report(tmp_path):
    other = tmp_path / "other.html"
    other.write_text("<p>hello</p>")
    with pytest.raises(InputError, match="carries no SHA-256"):
        verify(other)
    with pytest.raises(InputError, match="cannot read report"):
        verify(tmp_path / "absent.html")


def test_change_compares_the_strongest_attacks_that_both_versions_have(brief):
    at = brief.bundle.audit.finished_at.replace(month=1)
    earlier = [
        {
            "subject": "digits",
            "model_version": "v1",
            "finished_at": at,
            "attack": name,
            "metric": "tpr_at_fpr_0.01",
            "value": value,
            "ci_low": value - 0.02,
            "ci_high": value + 0.02,
            "status": "ok",
        }
        for name, value in (("loss", 0.05), ("bavaria", 0.1), ("quantile", 0.9))
    ]
    own = [
        measured("membership", name, "tpr_at_fpr_0.01", "probability", rate(k, 800))
        for name, k in (("loss", 36), ("bavaria", 32))
    ]
    text = render(
        replace(with_measurements(brief, own), trend=pa.Table.from_pylist(earlier, schema=TREND))
    )
    assert "fell since version v1: from 10.0% to 4.5%" in text


@pytest.mark.parametrize(
    ("value", "sentence", "interval"),
    [
        (5 / 6, "about 83 of every 100 secrets that it saw 8 times", "between 24.4% and 99.6%"),
        (0.0, "none of the 6 secrets that it saw 8 times that were tried", "between 0% and 45.9%"),
    ],
)
def test_where_a_recital_decides_the_page_speaks_of_it(brief, value, sentence, interval):
    low, high = (0.244, 0.996) if value else (0.0, 0.459)
    estimate = Estimate(value, low, high, n=6, k=round(6 * value))
    metric, tier = "secret_extraction_rate", "repetitions=8"
    row = Measurement("extraction", "secret", metric, "probability", estimate, 1, tier)
    outcome = "fail" if value else "inconclusive"
    limit = GateResult(metric, 0.1, "at most", outcome, row, None, ())
    audit = replace(brief.bundle.audit, verdict=outcome)
    rows = (*brief.bundle.measurements, row)
    bundle = replace(brief.bundle, audit=audit, measurements=rows, gate_results=(limit,))
    page = render(replace(brief, bundle=bundle, gate={metric: 0.1}))
    assert sentence in page[: page.index('id="meaning"')]
    assert interval in page
    assert "Beside that, the strongest attack we tried" in page


def test_a_lift_is_a_number_that_can_be_said(brief):
    bundle = brief.bundle
    rows = tuple(
        replace(m, estimate=Estimate(1.0, 0.734, 1.0, n=269, k=269))
        if m.metric == "tpr_at_fpr_0.01" and m.estimate.value is not None
        else m
        for m in bundle.measurements
    )
    judged = decide(rows, (), Gate(brief.gate)).results
    page = render(replace(brief, bundle=replace(bundle, measurements=rows, gate_results=judged)))
    assert "about 100 times as good" in page
    assert "e+02" not in page
