"""Instrument: could the attacks that ran have seen what the gate limits?

An attack that reads no shadow model sees how well a record is fitted, and not whether it would be
fitted as well by a model that never saw it. It misses most of what a nearest-neighbour model, a
forest or boosted trees give away, or a language model that fits easy and hard texts alike. So such
attacks alone can fail a limit on what attacks find, and never pass one, unless the owner declares
that nobody stronger is asked about.

Nor does a model pass a limit that its shadow models exceed (`shadow_leak`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.findings import finding
from memory_assets.validity.scope import concerns
from memory_assets.validity.shadow_leak import ShadowLeak
from memory_assets.validity.verdict import Gate, decide, gated

FAMILY = "membership"
"""Of the measurements that a stronger attack would decide."""


def instrument(
    measurements: Sequence[Measurement],
    gate: Gate,
    *,
    shadows: bool,
    declared: bool,
    of_texts: bool = False,
    leak: Callable[[], ShadowLeak | None] = lambda: None,
) -> Control:
    """Shadow models must stand behind every gated figure of an attack.

    Args:
        shadows: whether an attack ran that reads shadow models.
        declared: whether the owner declares an attacker who has none.
        of_texts: whether the model is a language model, whose owner has other ways to bring some.
        leak: finds a limit that the shadow models exceed; asked for where the model would pass.

    Raises:
        InputError: a gated metric that was not measured.
    """

    def found(passed: bool, name: str, **values: object) -> Control:
        detail = finding(f"instrument.{name}", **values)
        return Control("instrument", passed, None, None, None, (detail,))

    asked = [
        metric
        for metric in gate.thresholds
        if any(m.family == FAMILY for m in gated(measurements, metric))
    ]
    if not asked:
        return found(True, "not_asked")
    if shadows:
        passes = decide(measurements, (), gate).verdict == "pass"
        if passes and (exceeded := leak()) is not None:
            return found(False, "unlike", **vars(exceeded))
        return found(True, "shadows")
    if declared:
        return found(True, "declared")
    missing = found(False, "missing_texts" if of_texts else "missing", metric=asked[0])
    theirs = {
        metric: limit
        for metric, limit in gate.thresholds.items()
        if concerns(missing, gated(measurements, metric))
    }
    if decide(measurements, (), Gate(theirs)).verdict == "fail":
        return found(True, "settled")
    return missing
