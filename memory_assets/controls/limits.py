"""Limits that no sample could pass: what guessing alone reaches is no limit on leakage."""

from __future__ import annotations

from collections.abc import Mapping

from memory_assets.errors import InputError
from memory_assets.statistics.summary import rate_of

_EVEN = ("auc", "balanced_accuracy")


def guessing_reaches(metric: str) -> float | None:
    """The value that an attacker who only guesses has; None where there is none to speak of."""
    if metric in _EVEN:
        return 0.5
    at_rate = metric.startswith(("tpr_at_fpr_", "tpr_at_shadow_threshold_"))
    return rate_of(metric) if at_rate else None


def refuse_guesses(gate: Mapping[str, float]) -> None:
    """A limit at or below what guessing reaches would fail every model, and could pass none.

    Raises:
        InputError: such a limit; the message says what guessing reaches.
    """
    for metric, limit in gate.items():
        guessed = guessing_reaches(metric)
        if guessed is not None and limit <= guessed:
            raise InputError(
                f"gate.{metric}: {limit:g}; guessing reaches {guessed:g}, so no model could pass; "
                f"expected a limit above {guessed:g}"
            )
