"""The verdict goes by intervals: below, above, between; and by the controls before anything."""

import numpy as np
import pytest

from memory_assets.errors import InputError
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import legacy
from memory_assets.statistics.intervals import clean_probes, clopper_pearson, rate
from memory_assets.validity.resolution import resolution
from memory_assets.validity.verdict import Gate, decide, side_of

METRIC = "tpr_at_fpr_0.01"
HELD = Control("negative", True, 0.5, 0.45, 0.55, legacy("Nothing was found."))


def row(estimate, name="lira_online", metric=METRIC, unit="probability", family="membership"):
    return Measurement(family, name, metric, unit, estimate, 1)


def verdict(*rows, limit=0.05, metric=METRIC, controls=(HELD,)):
    return decide(rows, controls, Gate({metric: limit}))


def test_pass_needs_every_attack_wholly_below():
    assert verdict(row(rate(2, 1000)), row(rate(10, 1000), "base")).verdict == "pass"
    found = verdict(row(rate(2, 1000)), row(rate(45, 1000), "base"))
    assert found.verdict == "inconclusive"
    assert found.results[0].row.name == "base"


def test_fail_needs_one_attack_wholly_above():
    found = verdict(row(rate(2, 1000)), row(rate(120, 1000), "base"))
    assert found.verdict == "fail"
    assert "base 12%" in found.reason
    assert "wholly above 5%" in found.reason


def test_one_attack_of_many_does_not_fail_by_chance():
    # 66 of 1,000 excludes 5% at 95% by itself, not as one of eleven.
    alone, many = rate(66, 1000), [row(rate(10, 1000), f"attack{i}") for i in range(10)]
    assert alone.ci_low > 0.05
    assert verdict(row(alone)).verdict == "fail"
    found = verdict(row(alone), *many)
    assert found.verdict == "inconclusive"
    widened = found.results[0].row.estimate
    assert widened.ci_low == pytest.approx(clopper_pearson(66, 1000, 1 - 0.05 / 11)[0])
    assert widened.ci_high == alone.ci_high


def test_point_estimate_alone_never_decides():
    assert verdict(row(rate(4, 100))).verdict == "inconclusive"
    assert verdict(row(rate(6, 100))).verdict == "inconclusive"
    assert verdict(row(Estimate(0.01, None, None, n=9))).verdict == "inconclusive"


@pytest.mark.parametrize(("k", "n"), [(3, 100), (40, 1000), (8, 100), (0, 30)])
def test_records_needed_settle_four_samples_of_five_and_fewer_do_not(k, n):
    needed = verdict(row(rate(k, n))).results[0].records_needed
    drawn = np.random.default_rng(0)

    def settled(size):
        hits = drawn.binomial(size, k / n, 2000)
        ends = {int(h): rate(int(h), size) for h in np.unique(hits)}
        sure = {h: e.ci_high < 0.05 or e.ci_low > 0.05 for h, e in ends.items()}
        return np.mean([sure[int(h)] for h in hits])

    assert settled(needed) >= 0.77
    if k:  # without a hit every sample is the same, and is settled or is not
        assert settled(round(0.8 * needed)) < 0.8
    else:
        assert settled(needed - 1) == 0


def test_records_needed_of_a_number_that_is_no_rate_goes_by_the_square():
    auc = row(Estimate(0.55, 0.50, 0.60, n=400), metric="auc")
    found = verdict(auc, limit=0.575, metric="auc")
    power = ((1.96 + 0.8416) / 1.96) ** 2
    assert found.results[0].records_needed == pytest.approx(400 * 4 * power, abs=2)
    # Exactly on the limit no number of records settles anything.
    assert verdict(auc, limit=0.55, metric="auc").results[0].records_needed is None


def test_a_limit_that_no_sample_of_this_size_passes_is_said_to_be_one():
    # 719 of each: guessing alone reaches an upper end of 3.1% at 1% false positives.
    found = verdict(row(rate(8, 719)), limit=0.02)
    assert found.verdict == "inconclusive"
    assert "a model that leaks nothing would not be either" in found.reason
    assert found.results[0].records_needed > 1000


def test_a_pass_says_what_leak_it_would_have_seen():
    found = verdict(row(rate(12, 1500)), limit=0.05)
    assert found.verdict == "pass"
    assert "would have been seen with 80% probability" in found.reason
    least = found.results[0].detectable
    assert 0.02 < least < 0.06
    few = decide([row(rate(12, 1500))], [], Gate({METRIC: 0.05}), models=4)
    assert few.results[0].detectable > least  # few shadow models see less


@pytest.mark.parametrize(
    ("metric", "limit"), [(METRIC, 0.01), (METRIC, 0.0), ("auc", 0.5), ("tpr_at_fpr_0.1", 0.05)]
)
def test_a_limit_that_guessing_reaches_is_refused_when_it_is_read(metric, limit):
    with pytest.raises(InputError, match="guessing alone reaches"):
        Gate({metric: limit})


def test_rate_that_cannot_be_seen_asks_for_its_reciprocal():
    found = verdict(
        row(Estimate.unresolvable(n=700), metric="tpr_at_fpr_0.001"),
        metric="tpr_at_fpr_0.001",
    )
    assert found.verdict == "inconclusive"
    assert found.results[0].records_needed == 1000
    assert "unresolvable with n = 700" in found.reason


def test_lower_bound_fails_and_never_passes():
    metric = "clopper_pearson_lower_bound"

    def bound(value, status="ok"):
        estimate = Estimate(value, value, None, n=500, status=status)
        return row(estimate, metric=metric, unit="nats", family="epsilon")

    assert verdict(bound(5.0), limit=4, metric=metric).verdict == "fail"
    found = verdict(bound(1.0), limit=4, metric=metric)
    assert found.verdict == "inconclusive"
    assert "never pass" in found.reason
    assert found.results[0].records_needed is None


def test_value_at_its_ceiling_cannot_pass():
    at_ceiling = Estimate(1.0, 0.8, 1.2, n=50, status="at_ceiling")
    assert verdict(row(at_ceiling, unit="bits"), limit=2.0).verdict == "inconclusive"


def test_failed_control_withholds_the_verdict_in_words():
    failed = Control("blind_baseline", False, 0.7, 0.6, 0.8, legacy("The two sets differ."))
    for estimate in (rate(2, 1000), rate(200, 1000)):
        found = verdict(row(estimate), controls=(HELD, failed))
        assert found.verdict == "insufficient evidence"
        assert "The two sets differ." in found.reason
        assert "Nothing was found" not in found.reason
        assert found.results[0].row is not None  # what was measured is still told
        assert found.results[0].withheld


def test_several_limits_go_by_the_worst():
    rows = [row(rate(2, 1000)), row(rate(500, 1000), metric="extraction_rate")]
    found = decide(rows, [], Gate({METRIC: 0.05, "extraction_rate": 0.01}))
    assert found.verdict == "fail"
    assert METRIC not in found.reason
    assert [r.outcome for r in found.results] == ["pass", "fail"]


def test_a_gate_result_tells_limit_deciding_attack_and_records_needed():
    (found,) = verdict(row(rate(2, 100)), row(rate(4, 100), "base")).results
    assert (found.metric, found.limit, found.direction) == (METRIC, 0.05, "at most")
    assert found.row.name == "base"
    assert found.records_needed > 100
    assert found.detectable > 0.01
    assert not found.withheld


def test_strata_count_only_where_there_is_no_whole():
    bad = Measurement("membership", "base", METRIC, "probability", rate(90, 100), 1, "class 3")
    assert verdict(row(rate(2, 1000)), bad).verdict == "pass"
    assert verdict(bad).verdict == "fail"


def test_metric_nobody_measured_is_refused_with_those_there_are():
    with pytest.raises(
        InputError, match=r"gate\.tpr_at_fpr_0\.02: no such metric.*tpr_at_fpr_0\.01"
    ):
        verdict(row(rate(2, 100)), metric="tpr_at_fpr_0.02")


def test_metric_that_was_not_run_is_inconclusive():
    found = verdict(row(Estimate.not_run()))
    assert found.verdict == "inconclusive"
    assert "was not run" in found.reason


def test_no_limit_no_verdict():
    found = decide([row(rate(2, 100))], [HELD], Gate())
    assert (found.verdict, found.results) == ("inconclusive", ())


@pytest.mark.parametrize("limit", [-0.1, float("nan"), float("inf"), True, "0.05", None])
def test_limits_must_be_numbers(limit):
    with pytest.raises(InputError, match=r"gate\.auc"):
        Gate({"auc": limit})


def test_false_verdicts_are_rare_on_the_limit():
    # Every true rate lies exactly on the limit, ten attacks: neither pass nor fail is right.
    rng = np.random.default_rng(0)
    said = [
        verdict(*(row(rate(int(k), 500), f"a{i}") for i, k in enumerate(hits))).verdict
        for hits in rng.binomial(500, 0.05, (120, 10))
    ]
    assert said.count("fail") <= 0.05 * 120
    assert said.count("pass") == 0


@pytest.mark.parametrize(("limit", "needed"), [(0.01, 368), (0.001, 3688)])
def test_what_resolves_a_rate_does_not_pass_its_gate_yet(limit, needed):
    """The control is one-sided, the gate's interval has two ends (docs/memorization.md)."""
    metric = "extraction_rate"

    def asked(n):
        return row(rate(0, n), metric=metric)

    enough = asked(clean_probes(limit))
    assert resolution([enough], Gate({metric: limit})).passed
    assert verdict(enough, limit=limit, metric=metric).verdict == "inconclusive"
    assert verdict(asked(needed - 1), limit=limit, metric=metric).verdict == "inconclusive"
    assert verdict(asked(needed), limit=limit, metric=metric).verdict == "pass"


@pytest.mark.parametrize(("n", "passed"), [(299, True), (298, False)])
def test_resolution_counts_records_for_the_smallest_gated_rate(n, passed):
    rows = [row(rate(0, n), metric="extraction_rate"), row(rate(0, n), metric="tpr_at_fpr_0.1")]
    control = resolution(rows, Gate({"extraction_rate": 0.01, "tpr_at_fpr_0.1": 0.2}))
    assert control.passed is passed
    assert control.value == pytest.approx(1 - 0.05 ** (1 / n))
    assert ("needs 299 records" in control.detail) is not passed


def test_resolution_fails_a_rate_that_cannot_be_seen():
    rows = [row(Estimate.unresolvable(n=700), metric="tpr_at_fpr_0.001")]
    control = resolution(rows, Gate({"tpr_at_fpr_0.001": 0.5}))
    assert not control.passed
    assert "700 records" in control.detail


def test_resolution_asks_nothing_of_a_limit_that_is_exceeded_or_no_rate():
    exceeded = row(rate(50, 100), metric="extraction_rate")
    assert resolution([exceeded], Gate({"extraction_rate": 0.001})).passed
    auc = row(Estimate(0.55, 0.50, 0.60, n=40), metric="auc")
    control = resolution([auc], Gate({"auc": 0.8}))
    assert (control.passed, control.value) == (True, None)


def accuracy(k: int, n: int, family: str = "utility") -> Measurement:
    return Measurement(family, "target", "held_out_accuracy", "probability", rate(k, n), 1)


@pytest.mark.parametrize(
    ("right", "limit", "verdict"),
    [(930, 0.2, "pass"), (930, 0.99, "fail"), (930, 0.93, "inconclusive"), (930, 0.9, "pass")],
)
def test_an_accuracy_has_a_least_and_not_a_most(right: int, limit: float, verdict: str):
    found = decide([accuracy(right, 1000)], [HELD], Gate({"held_out_accuracy": limit}))
    assert found.verdict == verdict
    assert "the least that is allowed" in found.reason
    (judged,) = found.results
    assert judged.direction == "at least"
    assert judged.row.estimate.value == pytest.approx(0.93)
    assert judged.row.estimate.ci_low <= 0.93 <= judged.row.estimate.ci_high
    assert judged.limit == limit
    assert side_of("held_out_accuracy", judged.row.estimate, limit) == verdict


def test_an_accuracy_is_that_of_the_audited_model_and_not_of_its_shadows():
    rows = [accuracy(930, 1000), accuracy(600, 1000, "memorization")]
    assert decide(rows, [HELD], Gate({"held_out_accuracy": 0.9})).verdict == "pass"


def test_a_rate_and_an_accuracy_are_judged_each_on_its_own_side():
    rows = [row(rate(2, 1000)), accuracy(930, 1000)]
    gate = Gate({METRIC: 0.05, "held_out_accuracy": 0.9})
    assert decide(rows, [HELD], gate).verdict == "pass"
    worse = decide(rows, [HELD], Gate({METRIC: 0.05, "held_out_accuracy": 0.97}))
    assert worse.verdict == "fail"
    assert "held_out_accuracy" in worse.reason
    assert METRIC not in worse.reason
