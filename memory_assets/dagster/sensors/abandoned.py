"""Runs whose process was killed are ended, and what they left half-written is removed."""

from __future__ import annotations

import dagster as dg

from memory_assets.dagster.instance import end_abandoned_runs
from memory_assets.store.disk import sweep
from memory_assets.workflows.home import Home

INTERVAL_SECONDS = 30


@dg.sensor(
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Ends runs whose process was killed, and removes what they left half-written; "
        "Dagster's run retries start them again."
    ),
)
def abandoned_runs(
    context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]
) -> dg.SkipReason:
    ended = end_abandoned_runs(context.instance, home.root)
    removed = sweep(home.root)
    return dg.SkipReason(f"{ended} abandoned runs ended, {removed} temporary folders removed")
