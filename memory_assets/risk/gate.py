"""Go, conditional or stop: does it earn for certain, and can we bear the bad years?"""

from __future__ import annotations

from collections.abc import Sequence

from memory_assets.risk.report import Choice, Gate, OptionResult


def _earns(option: OptionResult) -> bool:
    return option.value.low is not None and option.value.low > 0


def _may_earn(option: OptionResult) -> bool:
    """The value was not measured, or its interval still reaches above 0."""
    return option.value.high is None or option.value.high > 0


def _bearable(option: OptionResult, appetite: float) -> bool:
    cvar = option.retained_cvar95.value
    return cvar is not None and cvar <= appetite


def decide(options: Sequence[OptionResult], appetite: float) -> Gate:
    """The gate of a trial: value's lower bound above 0 and CVaR95 within the stated appetite.

    `go`: the model as it is meets both. `conditional`: it does not, but an option meets both, or
    the tail is bearable and only the value is still open. `stop`: nothing on the table meets both.

    Args:
        options: the results of one run, the model as it is first.
        appetite: the most that the mean of the worst 5% of years may cost, money a year.
    """
    as_is = options[0]
    met = tuple((o.name, _earns(o) and _bearable(o, appetite)) for o in options)
    reasons: list[str] = []
    if as_is.value.value is None:
        reasons.append("The gain on unseen records was not measured.")
    elif _earns(as_is):
        reasons.append("The value is above zero over its whole range.")
    elif _may_earn(as_is):
        reasons.append("The value may be zero or less: its range includes zero.")
    else:
        reasons.append("The value is below zero over its whole range.")
    within = "within" if _bearable(as_is, appetite) else "above"
    reasons.append(f"The mean of the worst 5% of years is {within} the stated appetite.")
    choice: Choice = "stop"
    if met[0][1]:
        choice = "go"
    elif any(ok for _, ok in met):
        choice = "conditional"
        names = ", ".join(name for name, ok in met if ok)
        reasons.append(f"Both conditions are met with: {names}.")
        unmeasured = [o.name for o, (_, ok) in zip(options, met, strict=True) if ok]
        measured = {o.name for o in options if o.measured}
        if not measured.intersection(unmeasured):
            reasons.append("None of these was audited: audit the model built that way first.")
    elif any(_may_earn(o) and _bearable(o, appetite) for o in options):
        choice = "conditional"
        reasons.append("Measure the value on more unseen records before deciding.")
    else:
        reasons.append("No option on the table meets both conditions.")
    return Gate(choice, tuple(reasons), met)
