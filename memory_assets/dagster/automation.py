"""When does an asset recompute itself? When what it is made from really changed, and only then.

Dagster's `eager()` reruns everything downstream of a run even if the data version stayed the
same, and ignores a bumped code version. An audit must do neither: a touched file costs nothing,
a corrected formula is applied.

Every trigger here is an event of one tick, and what a tick asked for is taken off at the next one.
An event that arrives while a run is in flight is therefore kept until that run is over, and a run
that failed is not asked for again until something changes (a run whose process was killed is
started again by Dagster's run retries).
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

RUN_BY_AUTOMATION = "memory-assets/automation"
"""Tag of runs that the automation asked for."""

RUN_BY_HAND = "memory-assets/process"
"""Tag of runs that the command line executes: what they updated needs no second run."""

_RUN_OF_A_VERSION = "dagster/partition"


def _since_handled(event: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from an event until a run was asked for; an event in that same tick is not lost."""
    by_hand = (
        dg.AutomationCondition.newly_updated()
        & dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={RUN_BY_HAND})
    )
    return event.since((dg.AutomationCondition.newly_requested() & ~event) | by_hand)


def _all_updates_by(*tags: str) -> dg.AutomationCondition:
    return dg.AutomationCondition.all_new_updates_have_run_tags(tag_keys=set(tags))


def _own_events() -> dg.AutomationCondition:
    return (
        dg.AutomationCondition.missing().newly_true()
        | dg.AutomationCondition.code_version_changed()
    )


def on_change(
    *, apart_from: Sequence[dg.AssetKey] = (), together: bool = True
) -> dg.AutomationCondition:
    """Recompute when an input's data version changed, when never computed, or on new code.

    `apart_from` names inputs whose changes also arrive by way of another input, later: reacting
    to both would mix old with new. With `together`, an asset runs in the run of the input that
    changes; without, it waits to see whether that input came out different.
    """
    # Below an input that automation or the command line ran for one version, everything was
    # asked for in that same run. (`executed_with_root_target` alone sees the last version only.)
    upstream = (
        dg.AutomationCondition.data_version_changed()
        & ~dg.AutomationCondition.executed_with_root_target()
        & ~_all_updates_by(RUN_BY_AUTOMATION, _RUN_OF_A_VERSION)
        & ~_all_updates_by(RUN_BY_HAND, _RUN_OF_A_VERSION)
    )
    if together:
        upstream |= dg.AutomationCondition.will_be_requested()
    changed = dg.AutomationCondition.any_deps_match(upstream)
    if apart_from:
        changed = changed.ignore(dg.AssetSelection.assets(*apart_from))
    return (
        _since_handled(changed | _own_events())
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("on_change")


def on_any_version() -> dg.AutomationCondition:
    """As `on_change`, for an asset that gathers every version of every subject.

    One version that is missing or still running must not hold back the others.
    """
    upstream = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())
    return (
        _since_handled(upstream | _own_events()) & ~dg.AutomationCondition.in_progress()
    ).with_label("on_any_version")
