"""What a limit may be: known names, their ranges, and nothing that could not be judged."""

import pytest

from memory_assets.errors import InputError
from memory_assets.reports.catalogue import LANGUAGES, catalogue
from memory_assets.results.metrics import (
    METRICS,
    chance,
    find,
    limit_of,
    limits_of,
    metric_named,
    rate_of,
)


@pytest.mark.parametrize(
    ("metric", "written", "limit"),
    [
        ("tpr_at_fpr_0.1", 0.15, 0.15),
        ("tpr_at_fpr_0.1", "15%", 0.15),
        ("tpr_at_fpr_0.05", "7.5 %", 0.075),
        ("auc", 0.6, 0.6),
        ("held_out_accuracy", "80%", 0.8),
        ("epsilon", 8, 8.0),
        ("mean_exposure", 20, 20.0),
    ],
)
def test_a_limit_is_read_in_the_unit_of_its_metric(metric: str, written: object, limit: float):
    assert limit_of(metric, written) == pytest.approx(limit)


@pytest.mark.parametrize(
    ("metric", "written", "said"),
    [
        ("tpr_at_fpr_0.1", 5, "expected a number from 0 to 1"),
        ("tpr_at_fpr_0.1", "500%", "expected a number from 0 to 1"),
        ("tpr_at_fpr_0.1", "5", 'a share such as "5%"'),
        ("extraction_rate", 10, "expected a number from 0 to 1"),
        ("extraction_rate", -0.1, "expected a number from 0 to 1"),
        ("epsilon", "5%", "expected a number"),
        ("epsilon", -1, "0 or more"),
        ("auc", True, "expected a number"),
        ("auc", float("nan"), "expected a number"),
        ("auc", 0.5, "guessing alone reaches 0.5"),
        ("tpr_at_fpr_0.01", 0.01, "guessing alone reaches 0.01"),
        ("tpr_at_fpr_0.1", 0.05, "guessing alone reaches 0.1"),
        ("extraction_rate", 0, "none could pass"),
        ("extraction_rate", 1, "no model could fail"),
        ("held_out_accuracy", 0, "no model could fail"),
        ("held_out_accuracy", 1, "none could pass"),
        ("tpr_at_frp_0.01", 0.05, "did you mean tpr_at_fpr_0.01?"),
        ("heldout_accuracy", 0.9, "held_out_accuracy"),
        ("no_such_thing", 0.9, "expected one of"),
        ("tpr_at_fpr", 0.05, "takes a rate"),
        ("auc_0.1", 0.6, "takes no rate"),
        ("tpr_at_fpr_0.0", 0.1, "no rate"),
        ("member_accuracy", 0.9, "describes the instrument"),
        ("epsilon_ceiling", 3, "describes the instrument"),
    ],
)
def test_what_could_not_be_judged_is_refused(metric: str, written: object, said: str):
    with pytest.raises(InputError, match=r"^gate\.") as refused:
        limit_of(metric, written)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rate_may_be_written_in_any_way_and_only_once():
    assert limits_of({"tpr_at_fpr_.10": "15%"}) == {"tpr_at_fpr_0.1": 0.15}
    with pytest.raises(InputError, match=r"second limit on tpr_at_fpr_0\.1"):
        limits_of({"tpr_at_fpr_0.1": 0.2, "tpr_at_fpr_0.10": 0.3})


def test_a_small_rate_is_read_as_rows_have_it():
    """Rows of 0.000015 are called by 1.5e-05."""
    (row,) = limits_of({"tpr_at_fpr_0.000015": 0.01})
    assert rate_of(row) == 0.000015
    assert limits_of({row: 0.01}) == {row: 0.01}


def test_every_metric_has_a_side_a_range_and_a_unit_that_fit():
    for name, metric in METRICS.items():
        row = f"{name}_0.01" if metric.at_rate else name
        assert find(row) is metric
        if metric.unit == "probability" and metric.percent:
            assert metric.high == 1.0
        if metric.is_limit_from_below:
            assert metric.low is not None
            assert metric.high is not None  # its mirror needs both ends
        if (guessing := chance(row)) is not None:
            assert metric.worse == "higher"
            assert 0 < guessing < 1
        if metric.worse is not None:
            assert metric_named(row) is metric


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_metric_that_may_have_a_limit_has_a_name_on_the_page(lang: str):
    texts = catalogue(lang).texts
    assert [name for name in METRICS if f"metric.{name}" not in texts] == []
