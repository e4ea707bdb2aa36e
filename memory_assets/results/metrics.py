"""Every metric that an audit reports: its unit, its range, which side is bad, and what guessing
reaches. Limits of a gate are read against this registry.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from memory_assets.errors import InputError

NOMINAL_FPR = (0.1, 0.01, 0.001)
"""At which every attack is reported; a limit may name any other."""

Unit = Literal["probability", "nats", "bits"]
Direction = Literal["higher", "lower"]
Rate = Literal["false positives", "shadow threshold", "value"]

_RATE = re.compile(r"(?P<stem>[a-z_]+)_(?P<rate>0?\.\d+|\d+(?:\.\d+)?e-\d+)")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*%\s*")


@dataclass(frozen=True)
class Metric:
    """One metric, whatever attack or estimator reports it.

    `name` is what the column `metric` holds; with `at` a number follows it (`tpr_at_fpr_0.01`): a
    false-positive rate of the model itself, that of the threshold that its shadows choose, or a
    value. `finds_members` is said of the share of members found at such a rate, which guessing
    brings to that rate itself. The value lies from `low` to `high` (None: no such end), in `unit`.
    `worse` is the side on which a model is worse; None where the figure describes the instrument
    or the data and a limit on it would mean nothing. `chance` is what guessing reaches, in
    expectation, on a model that leaks nothing: no limit at or below it can ever be passed.
    `family` is the family of rows that speaks of the audited model, where others report the same
    name of something else (shadow models, for instance). `percent` says whether people write it so.
    """

    name: str
    unit: Unit
    low: float | None
    high: float | None
    worse: Direction | None
    at: Rate | None = None
    finds_members: bool = False
    chance: float | None = None
    family: str | None = None
    percent: bool = False

    @property
    def at_rate(self) -> bool:
        """Whether a number follows its name."""
        return self.at is not None

    @property
    def is_limit_from_below(self) -> bool:
        """Whether a limit is the least that is allowed, and not the most."""
        return self.worse == "lower"


def _shares(*names: str, worse: Direction | None = "higher") -> list[Metric]:
    return [Metric(name, "probability", 0.0, 1.0, worse, percent=True) for name in names]


def _at(rate: Rate, metrics: Iterable[Metric], *, finds_members: bool = False) -> list[Metric]:
    return [replace(m, at=rate, finds_members=finds_members) for m in metrics]


_CHANCE_OF_TWO = 0.5
_METRICS = (
    # Membership inference.
    Metric("auc", "probability", 0.0, 1.0, "higher", chance=_CHANCE_OF_TWO),
    *(replace(m, chance=_CHANCE_OF_TWO) for m in _shares("balanced_accuracy")),
    *_at("false positives", _shares("tpr_at_fpr"), finds_members=True),
    *_at("shadow threshold", _shares("tpr_at_shadow_threshold"), finds_members=True),
    *_at("shadow threshold", _shares("ppv_at_shadow_threshold")),
    *_at("shadow threshold", _shares("fpr_at_shadow_threshold", worse=None)),
    *_shares("jaccard_of_exposed", worse=None),
    # Memorization of single records, by shadow models.
    Metric("mean_memorization", "probability", -1.0, 1.0, "higher"),
    *_at("value", _shares("share_above")),
    Metric("mean_accuracy_gain", "probability", -1.0, 1.0, "higher", percent=True),
    Metric("mean_loss_gain", "nats", None, None, "higher"),
    *_shares("in_accuracy", "out_accuracy", worse=None),
    *_shares("share_pure_leakage"),
    *_shares(
        "share_useful_memorization",
        "share_generalized",
        "share_hard",
        "share_undecided",
        worse=None,
    ),
    Metric("held_out_gain_per_record", "probability", -1.0, 1.0, "lower"),
    Metric("held_out_gain", "probability", -1.0, 1.0, "lower"),
    # What the predictions carry about membership.
    Metric("information", "bits", 0.0, None, "higher"),
    Metric("information_null", "bits", 0.0, None, None),
    Metric("bound", "probability", 0.0, None, "higher"),
    Metric("bound_null", "probability", 0.0, None, None),
    Metric("risk_bound", "probability", 0.0, None, "higher"),
    Metric("risk_bound_null", "probability", 0.0, None, None),
    *(replace(m, chance=_CHANCE_OF_TWO) for m in _shares("pair_accuracy")),
    *_shares("pair_accuracy_null", worse=None),
    # Differential privacy, in nats.
    *(
        Metric(name, "nats", 0.0, None, "higher")
        for name in (
            "epsilon",
            "clopper_pearson_lower_bound",
            "gaussian_dp_lower_bound",
            "one_run_lower_bound",
            "split_lower_bound",
            "accountant_epsilon",
            "replace_one_epsilon",
        )
    ),
    *(
        Metric(name, "nats", 0.0, None, None)
        for name in (
            "epsilon_ceiling",
            "clopper_pearson_ceiling",
            "gaussian_dp_ceiling",
            "one_run_ceiling",
            "split_ceiling",
        )
    ),
    # What a language model gives back.
    *_shares(
        "extraction_rate",
        "sampled_extraction_rate",
        "near_verbatim_rate",
        "secret_extraction_rate",
        "reconstruction_rate",
        "inference_rate",
    ),
    *_shares("near_tie_rate", "positions_tried", "share_above_ceiling", worse=None),
    Metric("mean_exposure", "bits", 0.0, None, "higher"),
    Metric("mean_bits", "bits", None, None, "higher"),
    Metric("total_bits", "bits", None, None, "higher"),
    # What the model is good for.
    *(replace(m, family="utility") for m in _shares("held_out_accuracy", worse="lower")),
    *_shares("member_accuracy", worse=None),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
"""By name, without a rate."""


def split(name: str) -> tuple[str, float | None]:
    """A name as rows have it in its metric and its rate, if it has one.

    >>> split("tpr_at_fpr_0.01"), split("auc")
    (('tpr_at_fpr', 0.01), ('auc', None))
    """
    found = _RATE.fullmatch(name)
    return (found["stem"], float(found["rate"])) if found else (name, None)


def joined(metric: str, rate: float | None) -> str:
    """The name that `split` takes apart.

    >>> joined("tpr_at_fpr", 0.01)
    'tpr_at_fpr_0.01'
    """
    return metric if rate is None else f"{metric}_{rate:g}"


def find(name: str) -> Metric | None:
    """The metric that a row calls `name`, with its rate if it has one; None if there is none.

    >>> find("tpr_at_fpr_0.01").worse
    'higher'
    >>> find("tpr_at_fpr") is None
    True
    """
    stem, rate = split(name)
    metric = METRICS.get(stem)
    return metric if metric is not None and metric.at_rate == (rate is not None) else None


def rate_of(name: str) -> float | None:
    """The rate in the name of a metric such as `tpr_at_fpr_0.01`, else None.

    >>> rate_of("tpr_at_fpr_0.01"), rate_of("auc")
    (0.01, None)
    """
    return split(name)[1]


def false_positive_rate(name: str) -> float | None:
    """The false-positive rate at which an attack is reported, where `name` is such a figure.

    >>> false_positive_rate("tpr_at_fpr_0.05"), false_positive_rate("share_above_0.25")
    (0.05, None)
    """
    metric = find(name)
    return rate_of(name) if metric is not None and metric.at not in (None, "value") else None


def own_false_positive_rate(name: str) -> float | None:
    """The same where it is a rate of the audited model's own non-members, and no shadow's.

    >>> own_false_positive_rate("tpr_at_fpr_0.05")
    0.05
    >>> own_false_positive_rate("tpr_at_shadow_threshold_0.05") is None
    True
    """
    metric = find(name)
    return rate_of(name) if metric is not None and metric.at == "false positives" else None


def as_in_rows(name: str) -> str:
    """The name as rows have it, whichever way its rate was written.

    >>> as_in_rows("tpr_at_fpr_1e-2")
    'tpr_at_fpr_0.01'
    """
    stem, rate = split(name)
    return joined(stem, rate)


def chance(name: str) -> float | None:
    """What guessing reaches on this metric, None where that is not known beforehand.

    >>> chance("tpr_at_fpr_0.01"), chance("auc"), chance("extraction_rate")
    (0.01, 0.5, None)
    """
    metric = find(name)
    if metric is not None and metric.finds_members:
        return rate_of(name)
    return None if metric is None else metric.chance


def metric_named(name: str) -> Metric:
    """The metric of a limit that an owner wrote.

    Raises:
        InputError: there is no such metric, its rate is missing or impossible, or it is none that
            a model could be held to.
    """
    stem, rate = split(name)
    metric = find(name)
    if metric is None and stem in METRICS:
        at_rate = METRICS[stem].at_rate
        wanted = f"a rate, as in {stem}_0.01" if at_rate else f"no rate: {stem}"
        raise InputError(f"gate.{name}: this metric takes {wanted}")
    if metric is None:
        raise InputError(f"gate.{name}: no metric has this name; {_meant(name)}")
    if rate is not None and not 0 < rate < 1:
        raise InputError(f"gate.{name}: {rate:g} is no rate; expected one above 0 and below 1")
    if metric.worse is None:
        raise InputError(
            f"gate.{name}: this figure describes the instrument and not the model, so no limit on "
            f"it means anything; {_meant(name)}"
        )
    return metric


def _meant(name: str) -> str:
    stem = split(name)[0]
    known = [m.name + ("_0.01" if m.at_rate else "") for m in _METRICS if m.worse is not None]
    plain = {split(k)[0]: k for k in known}
    near = [plain[m] for m in difflib.get_close_matches(stem, list(plain), n=3, cutoff=0.5)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"expected one of {', '.join(sorted(known))}"


def _is_finite(written: object) -> bool:
    if not isinstance(written, int | float) or isinstance(written, bool):
        return False
    try:
        return math.isfinite(float(written))
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _number(name: str, written: object, metric: Metric) -> float:
    if isinstance(written, str) and metric.unit == "probability":
        percent = _PERCENT.fullmatch(written)
        if percent:
            return float(percent[1]) / 100
    if not _is_finite(written):
        either = ' or a share such as "5%"' if metric.unit == "probability" else ""
        raise InputError(f"gate.{name}: {written!r}; expected a number{either}")
    return float(written)  # type: ignore[arg-type]


def refuse_guessing(name: str, limit: float, written: object) -> None:
    """Raise InputError for a limit that guessing reaches: no model could pass it."""
    guessing = chance(name)
    if guessing is not None and limit <= guessing:
        raise InputError(
            f"gate.{name}: {written!r}; guessing alone reaches {guessing:g}, so that no model "
            f"could pass; expected a limit above {guessing:g}"
        )


def limit_of(name: str, written: object) -> float:
    """The limit that an owner wrote for a metric, as a number in the metric's unit.

    A share may be written 0.05 or "5%". Most limits are the most that may pass; those on what a
    model is good for (`held_out_accuracy`) are the least.

    Raises:
        InputError: a metric that there is not, a limit outside its range, one that nothing could
            fail, or one that even a model which leaks nothing could not pass.

    >>> limit_of("tpr_at_fpr_0.1", "15%")
    0.15
    """
    metric = metric_named(name)
    limit = _number(name, written, metric)
    low, high = metric.low, metric.high
    if (low is not None and limit < low) or (high is not None and limit > high):
        percent = ', or as a share such as "5%"' if metric.unit == "probability" else ""
        span = f"{low:g} to {high:g}" if high is not None else f"{low:g} or more"
        raise InputError(f"gate.{name}: {written!r}; expected a number from {span}{percent}")
    from_below = metric.is_limit_from_below
    never_fails, never_passes = (low, high) if from_below else (high, low)
    if limit == never_fails:
        raise InputError(
            f"gate.{name}: {written!r} is the end of its range, which no model could fail; "
            f"expected a limit {'above' if from_below else 'below'} {limit:g}"
        )
    if limit == never_passes:
        raise InputError(
            f"gate.{name}: {written!r}; no sample can show that a model lies beyond the end of the "
            "range, so that none could pass; "
            f"expected a limit {'below' if from_below else 'above'} {limit:g}"
        )
    refuse_guessing(name, limit, written)
    return limit


def limits_of(written: Mapping[str, object]) -> dict[str, float]:
    """Every limit of a gate, as `limit_of` reads it, under the name that rows have.

    Raises:
        InputError: as `limit_of`, or two limits on one metric.

    >>> limits_of({"tpr_at_fpr_.010": "5%"})
    {'tpr_at_fpr_0.01': 0.05}
    """
    read: dict[str, float] = {}
    for name, value in written.items():
        limit, row = limit_of(name, value), as_in_rows(name)
        if row in read:
            raise InputError(f"gate.{name}: a second limit on {row}; leave one")
        read[row] = limit
    return read
