"""What rests on a control: which figures its failure withholds.

A failed control withholds every figure but those that it cannot touch. These are named here, family
by family; a control or a family that is not named withholds, or is withheld.

| control | what it cannot touch |
|---|---|
| `negative`, `positive`, `recipe_match`, `instrument` | what rests on no shadow model |
| `blind_baseline`, `untrained_model` | what is recited: it compares nothing with others |
| every other | nothing |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memory_assets.results.estimate import Control, Measurement

_OF_THE_MODEL_ALONE = frozenset({"extraction", "exposure", "utility"})
"""Read off the model's own answers: no shadow model stands behind them."""
_OF_MEMBERS_ALONE = frozenset({"extraction"})
"""Recited word for word, which records from another source make neither likelier nor rarer."""

UNTOUCHED: dict[str, frozenset[str]] = {
    "negative": _OF_THE_MODEL_ALONE,
    "positive": _OF_THE_MODEL_ALONE,
    "recipe_match": _OF_THE_MODEL_ALONE,
    "instrument": _OF_THE_MODEL_ALONE,
    "blind_baseline": _OF_MEMBERS_ALONE,
    "untrained_model": _OF_MEMBERS_ALONE,
}
"""By control the families of measurements that stand although it failed."""

CLAIM_STANDS = frozenset({"instrument", "recipe_match", "positive", "resolution", "class_order"})
"""Controls whose failure leaves a refuted claim of epsilon refuted: a lower bound is one by
whatever score its hits were found, and a weaker one, or fewer records, find fewer. What it needs is
that members and the others differ by nothing but membership, and the right list of them."""


def concerns(control: Control, rows: Sequence[Measurement]) -> bool:
    """Whether any of these rows rests on a control; of what was not measured it must be feared."""
    families = {m.family for m in rows}
    return not families or not families <= UNTOUCHED.get(control.control, frozenset())


def rests_on_shadows(control: Control) -> bool:
    """Whether a control says only whether shadow models can be relied on."""
    return UNTOUCHED.get(control.control) is _OF_THE_MODEL_ALONE


def standing(
    measurements: Iterable[Measurement], controls: Sequence[Control]
) -> tuple[Measurement, ...]:
    """The measurements that no failed control withholds."""
    return tuple(m for m in measurements if not is_withheld(m.family, controls))


def is_withheld(family: str, controls: Iterable[Control]) -> bool:
    """Whether a control failed on which the figures of a family rest."""
    return any(
        not c.passed and family not in UNTOUCHED.get(c.control, frozenset()) for c in controls
    )
