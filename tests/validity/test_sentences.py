"""What an audit writes down is read back, every sentence of it, and said again in Japanese."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import ATTACKS, world

from memory_assets.reports.catalogue import catalogue
from memory_assets.reports.translated import retold
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.sentences import read_back, said_together, say, templates
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
    "attacks": "loss, lira_online",
    "control": "negative",
    "metric": "tpr_at_fpr_0.01",
    "status": "unresolvable",
    "entry": "epochs",
}
JAPANESE = catalogue("ja")


def filled(key: str, number: float = 1234567) -> str:
    """The sentence of a template with a value, or a sentence of its group, in every place."""
    values: dict[str, object] = {}
    for name, _ in FIELD.findall(templates("en")[key]):
        group = [k for k in templates("en") if k.startswith(f"{name}.")]
        values[name] = NAMED.get(name, filled(group[-1]) if group else number)
    return say(key, **values)


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
@pytest.mark.parametrize("number", [0, 0.0314, 1234567])
def test_every_sentence_is_read_back_as_what_was_said(key, number):
    said = read_back(filled(key, number))
    assert said is not None
    assert [one.key for one in said] == [key]


@given(
    value=st.floats(0, 1),
    n=st.integers(1, 10**7),
    missing=st.booleans(),
    attack=st.sampled_from(["loss", "bavaria", "all attacks", "loss & lira_online"]),
)
def test_a_reason_of_several_sentences_keeps_its_order_and_its_values(value, n, missing, attack):
    told = (
        say("told.missing", attack=attack, status="unresolvable", n=n)
        if missing
        else say("told.interval", attack=attack, value=f"{value:.3g}%", low="0%", high="9%", n=n)
    )
    parts = [
        say("verdict.open_needs", metric="auc", told=told, limit="5%", needed=n),
        say("verdict.fail", metric="tpr_at_fpr_0.1", told=told, limit="0.6"),
    ]
    said = read_back(f"{said_together(parts)}. {say('claim.open', **CLAIM)}")
    assert said is not None
    assert [one.key for one in said] == ["verdict.open_needs", "verdict.fail", "claim.open"]
    inner = said[0].values["told"]
    assert isinstance(inner, tuple)
    assert inner[0].values["attack"] == attack
    assert inner[0].values["n"] == f"{n:,}"


CLAIM = {"shown": 1.5, "ceiling": 5.0, "delta": 1e-5, "claimed": 8.0}


def _claims() -> list[str]:
    found = []
    for method in ("clopper_pearson", "gaussian_dp"):
        bound = EpsilonBound(method, Estimate(1.2, 1.2, None, n=100), 5.0, delta=1e-5)
        found += [check_claim(claimed, bound).in_words for claimed in (0.5, 3.0, 8.0)]
    return found


def _measured(metric: str, estimate: Estimate, name: str = "loss") -> Measurement:
    return Measurement("membership", name, metric, "probability", estimate, 1)


def _reasons() -> list[str]:
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
    found = [decide(own, [], gate).reason for own in rows.values()]
    failed = Control("provenance", False, None, None, None, say("provenance.other_members"))
    return [*found, decide(rows["pass"], [failed], gate).reason, decide([], [], Gate()).reason]


def _details() -> list[str]:
    rng = np.random.default_rng(0)
    honest, target = world(16, 60, 1.0, seed=1)
    few, _ = world(2, 60, 1.0, seed=2)
    odd = world(16, 60, 1.0, seed=3)[1]
    x = rng.normal(size=(60, 2, 4))
    side = rng.integers(0, 2, 60).astype(np.uint8)
    apart = x + 9.0 * (side[:, None] == np.arange(2))[..., None]
    metric = "tpr_at_fpr_0.01"
    return [
        negative_control(ATTACKS, honest, target, 0).detail,
        positive_control(ATTACKS, honest, target.side[0]).detail,
        blind_baseline(x, side, 0).detail,
        blind_baseline(apart, side, 0).detail,
        blind_baseline(x[:5], side[:5], 0).detail,
        recipe_match(honest, target).detail,
        recipe_match(honest, odd).detail,
        recipe_match(few, target).detail,
        resolution([_measured(metric, rate(1, 900))], Gate({metric: 0.05})).detail,
        resolution([_measured(metric, rate(0, 20))], Gate({metric: 0.05})).detail,
        resolution([_measured(metric, Estimate.unresolvable(20))], Gate({metric: 0.05})).detail,
        resolution([_measured(metric, rate(300, 900))], Gate({metric: 0.05})).detail,
        resolution([_measured("auc", Estimate(0.6, 0.5, 0.7, n=9))], Gate({"auc": 0.9})).detail,
    ]


@pytest.mark.parametrize("source", [_claims, _reasons, _details])
def test_what_the_controls_really_write_is_said_in_japanese(source):
    for text in source():
        said = " ".join(retold(text, JAPANESE))
        assert said != JAPANESE("control.unread"), text
        latin = set(re.findall(r"[A-Za-z]{2,}", said))
        assert latin <= {"AUC", "TPR", "FPR", "RMIA", "likelihood", "calibrated"}, said


def test_a_sentence_from_elsewhere_stays_on_the_english_page():
    foreign = "The moon was full."
    assert read_back(foreign) is None
    assert retold(foreign, catalogue("en")) == [foreign]
    assert foreign not in retold(foreign, JAPANESE)[0]
