"""Every attack by name and formula version. One name is one formula, for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from memory_assets.attacks import base, bavaria, lira, loss, quantile, rmia
from memory_assets.attacks.reference import BLOCK, Floats, check_finite, check_pool, models_inside
from memory_assets.errors import InputError
from memory_assets.pool.signals import Signals
from memory_assets.results.formulas import Formula

IN, OUT = True, False


@dataclass(frozen=True)
class Attack:
    """A membership inference attack: `score` is higher for records that look more like members.

    A change of `formula` that changes a score takes a new number in `revision`, so that history
    never compares the two. `sides` are the sides of the pool that it reads. `shadows_needed` counts
    the models that a side of a record needs besides the target under leave-one-out; without it,
    every side that is read needs two.
    """

    name: str
    revision: Formula
    sides: tuple[bool, ...]
    shadows_needed: int
    formula: Callable[[Signals, Signals, bool, int], Floats]

    @property
    def formula_version(self) -> int:
        return self.revision.version

    def score(
        self,
        pool: Signals,
        targets: Signals,
        *,
        leave_one_out: bool = False,
        block: int = BLOCK,
    ) -> Floats:
        """Score every record of every target against the pool: float64 `[T, n, 2]`.

        With several queries of a record the score is the mean of its scores at each query. Pass
        the pool as its own targets with `leave_one_out`: each model is then scored against the
        others. `block` is the number of pairs worked off at once, which bounds memory and does not
        change a score beyond rounding.

        Raises:
            ValueError: shapes that do not match, a signal or score that is not finite (records
                named by position), or too few IN or OUT models for a record.
        """
        check_pool(pool, targets, self.sides, self.shadows_needed, leave_one_out)
        self.revision.note()
        scores = self.formula(pool, targets, leave_one_out, block)
        check_finite(scores, f"score of {self.name}")
        return scores

    def can_score(self, pool: Signals) -> bool:
        """Whether the pool has the models on every side of every record that `score` asks for."""
        inside = models_inside(pool)
        there = {IN: inside, OUT: pool.models - inside}
        least = max(2, self.shadows_needed)
        return all(int(there[side].min()) >= least for side in self.sides)

    def can_leave_one_out(self, pool: Signals) -> bool:
        """Whether enough models remain on every side when a model is scored against the others."""
        inside = models_inside(pool)
        left = {IN: inside, OUT: pool.models - inside}
        return all(int(left[side].min()) > self.shadows_needed for side in self.sides)


def _attack(
    name: str,
    version: int,
    sides: tuple[bool, ...],
    shadows_needed: int,
    formula: Callable[[Signals, Signals, bool, int], Floats],
) -> Attack:
    return Attack(name, Formula(f"attack {name}", version), sides, shadows_needed, formula)


ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        _attack("loss", 1, (), 0, loss.loss),
        _attack("calibrated_loss", 1, (OUT,), 1, loss.calibrated_loss),
        _attack("lira_online", 1, (IN, OUT), 2, lira.lira_online),
        _attack("lira_online_fixed", 1, (IN, OUT), 1, lira.lira_online_fixed),
        _attack("lira_offline", 1, (OUT,), 2, lira.lira_offline),
        _attack("lira_offline_fixed", 1, (OUT,), 1, lira.lira_offline_fixed),
        _attack("rmia_online", 1, (IN, OUT), 1, rmia.rmia_online),
        _attack("rmia_offline", 1, (OUT,), 1, rmia.rmia_offline),
        _attack("base", 1, (IN, OUT), 1, base.base),
        _attack("bavaria", 1, (IN, OUT), 1, bavaria.bavaria),
        _attack("quantile", 1, (OUT,), 2, quantile.quantile),
    )
}

PER_RECORD_VARIANCE = 64
"""Models from which `standard` trusts the variance of a single record."""


STANDARD = ("loss", "calibrated_loss", "lira_online", "lira_offline", "rmia_offline", "bavaria")
THOROUGH = tuple(ATTACKS)


def select(wanted: str | Iterable[str], models: int) -> tuple[Attack, ...]:
    """The attacks of a set (`standard`, `thorough`) or of a list of names, in order, each once.

    With fewer than 64 `models` in the pool, `standard` takes LiRA in its fixed-variance forms.

    Args:
        wanted: `standard`, `thorough`, one name or several.
        models: shadow models in the pool, K.

    Returns:
        Attacks of the registry.

    Raises:
        InputError: an unknown name, or none.

    Examples:
        >>> [attack.name for attack in select("standard", models=16)][:3]
        ['loss', 'calibrated_loss', 'lira_online_fixed']
    """
    if isinstance(wanted, str):
        sets = {"standard": STANDARD, "thorough": THOROUGH}
        names = list(sets.get(wanted, (wanted,)))
        if wanted == "standard" and models < PER_RECORD_VARIANCE:
            names = [f"{n}_fixed" if n.startswith("lira_") else n for n in names]
    else:
        names = list(dict.fromkeys(wanted))
    unknown = [n for n in names if n not in ATTACKS]
    if unknown or not names:
        raise InputError(
            f"attacks: unknown {unknown or 'empty list'}; expected standard, thorough or a list "
            f"of {', '.join(ATTACKS)}"
        )
    return tuple(ATTACKS[n] for n in names)
