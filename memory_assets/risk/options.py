"""What could be done about leakage: measures, their combinations, and what was measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Basis, Distribution, Fixed, weakest
from memory_assets.risk.evidence import Evidence
from memory_assets.risk.fields import Quantity, Text

UNCHANGED = Fixed(value=1.0, basis="measured", note="left as it is")
NOTHING = Fixed(value=0.0, basis="measured", note="left as it is")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One declared measure. Ratios multiply what leaks without it: 1 changes nothing.

    `leak_ratio` acts on extraction rates, `membership_ratio` on membership rates, `miss` is the
    share of leaking answers that an output filter lets through. `metric_change` is added to the
    held-out metric (a loss is negative). Money is in the profile's currency.
    """

    name: Text
    leak_ratio: Annotated[Distribution, Quantity("rate", "ratio")] = UNCHANGED
    membership_ratio: Annotated[Distribution, Quantity("rate", "ratio")] = UNCHANGED
    miss: Annotated[Distribution, Quantity("rate", "ratio")] = UNCHANGED
    metric_change: Annotated[Distribution, Quantity("signed", "metric")] = NOTHING
    one_off: Annotated[Distribution, Quantity("amount", "money")] = NOTHING
    annual: Annotated[Distribution, Quantity("amount", "money a year")] = NOTHING
    premium_change: Annotated[Distribution, Quantity("signed", "money a year")] = NOTHING


@dataclass(frozen=True)
class Option:
    """Measures taken together, and the audit of a model built that way when there is one.

    With `evidence`, leakage and utility come from it, and only costs from the measures. Without,
    they are declared: ratios multiply and metric changes add, as if the measures were independent.
    """

    name: str
    measures: tuple[Measure, ...] = ()
    evidence: Evidence | None = None

    @property
    def measured(self) -> bool:
        return self.evidence is not None and self.evidence.has_verdict

    @property
    def basis(self) -> Basis:
        """The weakest ground among its costs and, where it was not measured, its effects."""
        grounds: list[Basis] = []
        for m in self.measures:
            grounds.extend((m.one_off.basis, m.annual.basis, m.premium_change.basis))
            if not self.measured:
                effects = (m.leak_ratio, m.membership_ratio, m.miss, m.metric_change)
                grounds.extend(e.basis for e in effects)
        return weakest(*grounds)


AS_IS = Option("none")


def combine(*options: Option) -> Option:
    """Declared options taken together: `a+b`. A measure in both counts once."""
    names = list(dict.fromkeys(o.name for o in options))
    measures = {m.name: m for o in options for m in o.measures}
    return Option("+".join(names), tuple(measures.values()))


def with_evidence(option: Option, evidence: Evidence) -> Option:
    """The same option, now measured on a model built that way."""
    return replace(option, evidence=evidence)


def line_up(options: Sequence[Option]) -> tuple[Option, ...]:
    """The options of one run, the model as it is first.

    Raises:
        InputError: two options of one name.
    """
    others = [o for o in options if o.name != AS_IS.name]
    names = [o.name for o in others]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"option {name!r} is given twice: name each option once")
    return (AS_IS, *others)
