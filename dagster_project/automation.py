"""When does an asset recompute itself? When what it is made from really changed, and only then.

Dagster's `eager()` reruns everything downstream of a run even if the data version stayed the
same, and ignores a bumped code version. An audit must do neither: a touched file costs nothing,
a corrected formula is applied.
"""

from __future__ import annotations

import dagster as dg


def _changed() -> dg.AutomationCondition:
    return (
        dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
        | dg.AutomationCondition.missing()
        | dg.AutomationCondition.code_version_changed()
    )


def on_change() -> dg.AutomationCondition:
    """Recompute when an input's data version changed, when never computed, or on new code."""
    handled = dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    return (
        _changed().since(handled)
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("on_change")


def on_any_version() -> dg.AutomationCondition:
    """As `on_change`, for an asset that gathers every version of every subject.

    One version that is missing or still running must not hold back the others.
    """
    handled = dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    return (
        (
            dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())
            | dg.AutomationCondition.missing()
            | dg.AutomationCondition.code_version_changed()
        ).since(handled)
        & ~dg.AutomationCondition.in_progress()
    ).with_label("on_any_version")
