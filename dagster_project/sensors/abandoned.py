"""Runs whose process was killed are ended, so that automation does not wait for them."""

from __future__ import annotations

import dagster as dg

from dagster_project.instance import end_abandoned_runs

INTERVAL_SECONDS = 30


@dg.sensor(
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed; Dagster's run retries start them again.",
)
def abandoned_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    ended = end_abandoned_runs(context.instance)
    return dg.SkipReason(f"{ended} abandoned runs ended")
