"""Unchanged models and valid audits: false alarms stay as rare as the docs say."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.trust import power, releases, validity
from memory_assets.config.classifier import DEPTHS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("trust")]


def _most(tried: int, rate: float) -> int:
    """More than this happens by chance in fewer than 1 of 1,000 runs at this rate."""
    return int(binom.ppf(0.999, tried, rate))


def test_unchanged_releases_are_rarely_called_worse(tally):
    found = releases.regressions(list(releases.same_data(60, seed=1)))
    assert found.releases == 59
    assert found.figures > 20 * 59
    assert found.alarmed <= _most(59, 0.06)
    tally("trust: unchanged releases compared", found.releases)


def test_a_release_that_leaks_more_is_called_worse():
    before, after = (next(releases.same_data(1, seed=2, leak=leak)) for leak in (0.0, 2.5))
    worse = releases.regressions([before, after]).worse
    assert {"auc", "tpr_at_fpr_0.1"} <= {metric for _, _, metric in worse}


def test_limits_at_the_truth_neither_fail_nor_pass_often(tally):
    audits = list(releases.new_data(30, seed=3))
    for gate in releases.gates(audits):
        assert gate.outcomes["fail"] <= _most(30, 0.025)
        assert gate.outcomes["pass"] <= _most(30, 0.025)
    tally("trust: gates held against the truth", 3 * len(audits))


@pytest.mark.parametrize(
    "controls",
    [lambda rng: validity.classifier(rng, 4), validity.language_model],
    ids=["classifier", "language_model"],
)
def test_valid_audits_keep_their_verdict(controls, tally):
    lost = sum(
        any(not c.passed for c in controls(np.random.default_rng([11, repeat])))
        for repeat in range(60)
    )
    assert lost <= _most(60, 0.04)
    tally("trust: valid audits controlled", 60)


def test_power_grows_with_depth_and_memorization():
    found = {(depth, mem): p for depth, mem, p in power.memorization()}
    assert found["quick", 1.0] == 0  # 4 models call no record memorized
    assert found["standard", 1.0] == found["thorough", 1.0] == 1
    assert found["standard", 0.25] < 0.025  # at the threshold: a false alarm
    assert found["thorough", 0.25] < 0.025
    assert found["standard", 0.5] < found["thorough", 0.5]
    assert list(DEPTHS) == ["quick", "standard", "thorough"]
