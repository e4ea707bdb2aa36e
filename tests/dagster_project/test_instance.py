"""Whose run is it?"""

from __future__ import annotations

import dagster as dg

from memory_assets.dagster.instance import subjects_of


@dg.asset(key=dg.AssetKey(["tiny", "leakage"]))
def leakage() -> None: ...


def test_a_run_without_a_selection_says_by_its_plan_what_it_makes():
    """So does a job of the owner's own that names no asset when it is asked for."""
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([leakage], instance=instance)
        (run,) = instance.get_runs()
        assert done.success
        assert run.asset_selection is None or not run.asset_selection
        assert subjects_of(instance, run) == {"tiny"}
        chosen = frozenset([dg.AssetKey(["other", "dataset"])])
        assert subjects_of(instance, dg.DagsterRun("job", asset_selection=chosen)) == {"other"}
