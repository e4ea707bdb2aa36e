"""A failed control withholds the limits on what rests on it, and no pass comes of a doubt."""

import pytest

from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import finding, legacy
from memory_assets.statistics.intervals import rate
from memory_assets.validity.scope import UNTOUCHED, is_withheld, standing
from memory_assets.validity.verdict import Gate, decide

RECITED, TOLD = "extraction_rate", "tpr_at_fpr_0.1"
LEAKING, CLEAN = rate(90, 100), rate(0, 1000)
FAMILIES = {
    "membership": TOLD,
    "memorization": "mean_memorization",
    "information": "bound",
    "epsilon": "epsilon",
    "extraction": RECITED,
    "exposure": "mean_exposure",
    "utility": "held_out_accuracy",
}
OF_SHADOWS = ("negative", "positive", "recipe_match", "instrument")
OF_ALL = (
    "provenance",
    "member_list",
    "class_order",
    "resolution",
    "beats_chance",
    "held_out_texts",
    "held_out_extraction",
    "unplanted_canaries",
    "a control of tomorrow",
)


def failed(name: str) -> Control:
    detail = "The audited model could not be compared."
    return Control(name, False, None, None, None, legacy(detail))


def row(family: str, estimate: Estimate, metric: str = "") -> Measurement:
    unit = "probability"
    return Measurement(family, "any", metric or FAMILIES[family], unit, estimate, 1)


def decided(control: str, recited: Estimate, told: Estimate | None = None):
    """A verdict on what is recited and, where given, on what an attack by shadow models finds."""
    rows, limits = [row("extraction", recited)], {RECITED: 0.05}
    if told is not None:
        rows, limits = [*rows, row("membership", told)], limits | {TOLD: 0.2}
    return decide(rows, [failed(control)], Gate(limits))


@pytest.mark.parametrize("control", OF_SHADOWS)
def test_what_is_recited_does_not_rest_on_shadow_models(control):
    found = decided(control, LEAKING)
    assert found.verdict == "fail"
    assert found.reason.startswith("extraction_rate: any 90%")
    assert f"[{control}] The audited model could not be compared." in found.reason
    assert decided(control, CLEAN).verdict == "pass"


@pytest.mark.parametrize("control", ["blind_baseline", "untrained_model"])
def test_what_is_recited_is_compared_with_nothing(control):
    assert decided(control, LEAKING).verdict == "fail"
    assert "compares members with others" in decided(control, CLEAN).reason


@pytest.mark.parametrize("control", [*OF_SHADOWS, "blind_baseline", "untrained_model"])
@pytest.mark.parametrize("told", [CLEAN, LEAKING])
def test_no_pass_while_one_of_the_limits_is_withheld(control, told):
    assert decided(control, CLEAN, told).verdict == "insufficient evidence"
    assert decided(control, rate(5, 100), told).verdict == "insufficient evidence"


@pytest.mark.parametrize("control", OF_SHADOWS)
def test_a_limit_that_fails_by_itself_fails_whatever_is_withheld_beside_it(control):
    found = decided(control, LEAKING, CLEAN)
    assert found.verdict == "fail"
    assert "tpr_at_fpr" not in found.reason


@pytest.mark.parametrize("control", OF_ALL)
@pytest.mark.parametrize("recited", [CLEAN, LEAKING])
def test_every_other_control_withholds_everything(control, recited):
    assert decided(control, recited).verdict == "insufficient evidence"
    assert all(is_withheld(family, [failed(control)]) for family in FAMILIES)


@pytest.mark.parametrize("family", ["membership", "memorization", "information", "epsilon"])
@pytest.mark.parametrize("control", UNTOUCHED)
def test_what_rests_on_shadow_models_is_withheld_by_each(family, control):
    assert is_withheld(family, [failed(control)])
    assert is_withheld("a family of tomorrow", [failed(control)])
    found = decide([row(family, CLEAN)], [failed(control)], Gate({FAMILIES[family]: 0.9}))
    assert found.verdict == "insufficient evidence"


def test_a_metric_that_was_not_run_is_feared_to_rest_on_everything():
    rows = [row("extraction", Estimate.not_run())]
    found = decide(rows, [failed("recipe_match")], Gate({RECITED: 0.05}))
    assert found.verdict == "insufficient evidence"


def test_without_a_limit_a_failed_control_withholds():
    assert decide([], [failed("recipe_match")], Gate()).verdict == "insufficient evidence"


def test_only_what_stands_is_priced():
    rows = [row(family, CLEAN) for family in FAMILIES]
    kept = standing(rows, [failed("recipe_match")])
    assert {m.family for m in kept} == {"extraction", "exposure", "utility"}


@pytest.mark.parametrize("control", ["recipe_match", "blind_baseline"])
def test_the_reason_names_what_is_withheld_beside_it(control):
    known = Control(control, False, None, None, None, (finding("resolution.no_rate"),))
    found = decide([row("extraction", LEAKING)], [known], Gate({RECITED: 0.05}))
    keys = [one.key for one in found.findings]
    assert keys[0] == "verdict.limits"
    assert keys[1].startswith("verdict.beside_")
    assert keys[2:] == ["verdict.of_control", "resolution.no_rate"]
