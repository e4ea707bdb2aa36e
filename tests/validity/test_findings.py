"""What an audit finds is kept as data, and said in every language."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import ATTACKS, world

from memory_assets.reports.catalogue import catalogue
from memory_assets.reports.translated import translated
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import (
    LANGUAGES,
    Finding,
    finding,
    legacy,
    render,
    templates,
)
from memory_assets.statistics.epsilon import EpsilonBound
from memory_assets.statistics.intervals import rate
from memory_assets.validity.blind import blind_baseline
from memory_assets.validity.claim import check_claim
from memory_assets.validity.negative import negative_control
from memory_assets.validity.positive import positive_control
from memory_assets.validity.recipe_match import recipe_match
from memory_assets.validity.resolution import resolution
from memory_assets.validity.verdict import Gate, decide

FIELD = re.compile(r"\{(\w+)(?::([^}]*))?\}")
NAMED = {
    "attack": "rmia_offline",
    "attacks": ["loss", "lira_online"],
    "control": "negative",
    "metric": "tpr_at_fpr_0.01",
    "status": "unresolvable",
    "entry": "epochs",
}
JAPANESE = catalogue("ja")


def filled(key: str, number: float = 1234567) -> Finding:
    """A finding with a value, or a finding of its group, for every parameter."""
    values: dict[str, object] = {}
    for name, _ in FIELD.findall(templates("en")[key]):
        group = [k for k in templates("en") if k.startswith(f"{name}.")]
        values[name] = NAMED.get(name, filled(group[-1], number) if group else number)
    return finding(key, **values)


def test_both_languages_have_the_same_sentences_with_the_same_values():
    english, japanese = templates("en"), templates("ja")
    assert set(english) == set(japanese)
    for key, words in english.items():
        assert {f[0] for f in FIELD.findall(words)} == {f[0] for f in FIELD.findall(japanese[key])}


def test_japanese_holds_no_english_word():
    for key, words in templates("ja").items():
        bare = FIELD.sub("", words)
        assert not re.findall(r"[A-Za-z]{2,}", re.sub("AUC", "", bare)), (key, bare)


@pytest.mark.parametrize("key", templates("en"))
@pytest.mark.parametrize("number", [0, 1, 0.0314, 1234567])
def test_every_finding_is_said_in_every_language_and_kept_as_data(key, number):
    found = filled(key, number)
    assert Finding.from_json(found.key, found.as_json()) == found
    for lang in LANGUAGES:
        said = render(found, lang)
        assert said
        assert not re.search(r"[{}]", said)


@given(value=st.floats(allow_nan=False), share=st.floats(0, 1), n=st.integers(1, 10**9))
def test_parameters_come_back_from_json_as_they_were(value, share, n):
    told = finding(
        "told.interval", attack="loss", metric="auc", value=value, low=share, high=1, n=n
    )
    outer = finding("verdict.fail", metric="auc", told=told, limit=share)
    both = finding("verdict.limits", limits=[outer, outer])
    assert Finding.from_json(both.key, both.as_json()) == both
    assert render(both).count("; ") == 1


def test_a_missing_parameter_and_an_unknown_key_are_refused_where_they_are_written():
    with pytest.raises(KeyError, match="limit"):
        finding("verdict.fail", metric="auc", told="")
    with pytest.raises(KeyError):
        finding("verdict.nothing_of_the_kind")


def test_a_key_that_is_no_more_is_shown_and_not_lost():
    assert render(Finding("gone.long_ago", {"n": 3})) == 'gone.long_ago {"n": 3}'


def test_shares_and_areas_are_written_as_their_metric_is():
    values = {"attack": "loss", "value": 0.2034, "low": 0.1, "high": 0.3, "n": 1200}
    assert render(finding("told.interval", metric="tpr_at_fpr_0.1", **values)) == (
        "loss 20.3% (10% to 30%, n = 1,200)"
    )
    assert render(finding("told.interval", metric="auc", **values)).startswith("loss 0.203 (0.1 to")


CLAIM = {"shown": 1.5, "ceiling": 5.0, "delta": 1e-5, "claimed": 8.0}


def _claims() -> list[Finding]:
    found = []
    for method in ("clopper_pearson", "gaussian_dp"):
        bound = EpsilonBound(method, Estimate(1.2, 1.2, None, n=100), 5.0, delta=1e-5)
        found += [check_claim(claimed, bound).found for claimed in (0.5, 3.0, 8.0)]
    return found


def _measured(metric: str, estimate: Estimate, name: str = "loss") -> Measurement:
    return Measurement("membership", name, metric, "probability", estimate, 1)


def _reasons() -> list[Finding]:
    metric = "tpr_at_fpr_0.01"
    rows = {
        "pass": [_measured(metric, rate(1, 900)), _measured(metric, rate(2, 900), "rmia_offline")],
        "fail": [_measured(metric, rate(300, 900))],
        "inconclusive": [_measured(metric, rate(50, 900))],
        "unresolvable": [_measured(metric, Estimate.unresolvable(40))],
        "not run": [_measured(metric, Estimate.not_run())],
        "lower bound": [_measured(metric, Estimate(0.01, 0.01, None, n=900))],
    }
    gate = Gate({metric: 0.05})
    found = [decide(own, [], gate) for own in rows.values()]
    told = (finding("provenance.other_members"),)
    failed = Control("provenance", False, None, None, None, told)
    found += [decide(rows["pass"], [failed], gate), decide([], [], Gate())]
    return [one for decision in found for one in decision.findings]


def _details() -> list[Finding]:
    rng = np.random.default_rng(0)
    honest, target = world(16, 60, 1.0, seed=1)
    few, _ = world(2, 60, 1.0, seed=2)
    odd = world(16, 60, 1.0, seed=3)[1]
    x = rng.normal(size=(60, 2, 4))
    side = rng.integers(0, 2, 60).astype(np.uint8)
    apart = x + 9.0 * (side[:, None] == np.arange(2))[..., None]
    metric = "tpr_at_fpr_0.01"
    made = [
        negative_control(ATTACKS, honest, target, 0),
        positive_control(ATTACKS, honest, target.side[0]),
        blind_baseline(x, side, 0),
        blind_baseline(apart, side, 0),
        blind_baseline(x[:5], side[:5], 0),
        recipe_match(honest, target),
        recipe_match(honest, odd),
        recipe_match(few, target),
        resolution([_measured(metric, rate(1, 900))], Gate({metric: 0.05})),
        resolution([_measured(metric, rate(0, 20))], Gate({metric: 0.05})),
        resolution([_measured(metric, Estimate.unresolvable(20))], Gate({metric: 0.05})),
        resolution([_measured(metric, rate(300, 900))], Gate({metric: 0.05})),
        resolution([_measured("auc", Estimate(0.6, 0.5, 0.7, n=9))], Gate({"auc": 0.9})),
    ]
    return [one for control in made for one in control.findings]


@pytest.mark.parametrize("source", [_claims, _reasons, _details])
def test_what_the_controls_really_find_is_said_in_japanese(source):
    for found in source():
        said = " ".join(translated([found], JAPANESE))
        latin = set(re.findall(r"[A-Za-z]{2,}", said))
        assert latin <= {"AUC", "TPR", "FPR", "RMIA", "likelihood", "calibrated"}, said


def test_a_sentence_of_an_older_version_stays_on_the_english_page():
    foreign = "The moon was full."
    assert translated(legacy(foreign), catalogue("en")) == [foreign]
    assert foreign not in translated(legacy(foreign), JAPANESE)[0]
