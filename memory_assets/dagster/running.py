"""Runs of the graph in this process, and what their failures mean to the user."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.automation import RUN_BY_HAND
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.executors import CONFIG, IN_PROCESS, executor_name, portable_job
from memory_assets.dagster.failures import StepFailed, root_cause, told_of
from memory_assets.dagster.kinds import kind_of
from memory_assets.dagster.portfolio.dashboard import KEY as DASHBOARD
from memory_assets.dagster.references import refers_to
from memory_assets.dagster.resources import going_by
from memory_assets.dagster.sensors.watching import DATA_VERSION
from memory_assets.dagster.workers import executed_here
from memory_assets.errors import InputError
from memory_assets.workflows.home import Home
from memory_assets.workflows.released import Released

_INTERRUPTS = (KeyboardInterrupt.__name__, dg.DagsterExecutionInterruptedError.__name__)
_ENDS = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_BY_HAND = {RUN_BY_HAND: "yes"}

# The event log belongs in the UI; the terminal shows progress and the result.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Result = dg.ExecuteInProcessResult | dg.JobExecutionResult
Progress = Callable[[str], None]
"""Called with a few words on what is being done now."""


@dataclass(frozen=True)
class Runner:
    """The graph of a project, run by this process on a home.

    `progress` is told what is being done. `released` is what its runs go by: all that this process
    runs itself are one run to the user.
    """

    job: dg.JobDefinition
    root: Path
    home: Home
    instance: dg.DagsterInstance
    progress: Progress
    released: Released

    def run(self, label: str, keys: list[dg.AssetKey], version: str | None = None) -> Result:
        """Materialize these assets now, as a run that the UI shows like any other.

        A check that fails is a result, not an error: the audit ran. A step that fails is one.

        Raises:
            InputError: a step refused its input. StepFailed: a step broke, or the run.
            KeyboardInterrupt: the run was interrupted, which Dagster takes for a failure.
        """
        if executor_name() != IN_PROCESS:
            self.progress(f"{label}, by {executor_name()}")
            return self._elsewhere(keys, version)
        run_id = str(uuid.uuid4())

        def watch(event: dg.EventLogEntry) -> None:
            if event.dagster_event is None and int(event.level) >= logging.INFO:
                # What a step says while it works.
                self.progress(f"{label}: {event.user_message}")
            elif event.dagster_event and event.dagster_event.is_step_start:
                self.progress(f"{label}: {event.step_key}")

        self.instance.add_event_listener(run_id, watch)
        with going_by(self.released):
            result = self.job.execute_in_process(
                instance=self.instance,
                run_config=_QUIET,
                asset_selection=keys,
                partition_key=version,
                run_id=run_id,
                tags=_BY_HAND | executed_here(self.instance, run_id, self.home.root),
                raise_on_error=False,
            )
        _raise_for_failures(result)
        return result

    def _elsewhere(self, keys: list[dg.AssetKey], version: str | None) -> Result:
        """The same run with its steps placed by the executor that the setting names."""
        partition = {} if version is None else {"dagster/partition": version}
        try:
            with dg.execute_job(
                portable_job(self.root, self.job.name),
                self.instance,
                run_config=_QUIET,
                tags={**_BY_HAND, **partition},
                asset_selection=keys,
            ) as result:
                _raise_for_failures(result)
                return result
        except dg.DagsterInvalidConfigError as error:
            raise InputError(f"{CONFIG}: {error.errors[0].message}") from error

    def pool(self, subject: AuditedSubject, graph: SubjectGraph) -> tuple[int, int]:
        """Bring a subject's pool up to date; returns the blocks trained and those reused.

        A pool that stands, and of which the lineage says the same, is not run again.
        """
        kind = kind_of(subject)
        keys = {name: graph.key(name) for name in kind.pool}
        standing = kind.standing(subject, self.root, graph.store(self.home))
        if standing is not None:
            known = self.instance.get_latest_materialization_events(list(keys.values()))
            shown = {name: _data_version(known.get(key)) for name, key in keys.items()}
            references = self.home.references
            if shown == standing.keys and all(
                refers_to(references, keys[name], key) for name, key in standing.keys.items()
            ):
                return 0, standing.blocks
        done = self.run(f"{subject.subject} pool", list(keys.values()))
        return blocks_of(done, graph)

    def record(self) -> int:
        """Bring the history and its page up to date; returns how many audits were added."""
        history = dg.AssetKey(["portfolio", "history"])
        done = self.run("history", [history, DASHBOARD])
        return int(str(metadata_of(done, history)["audits added"]))


def blocks_of(done: Result, graph: SubjectGraph, asset: str = "shadow_models") -> tuple[int, int]:
    """Blocks of shadow models that a run trained and reused; none where a kind has no such."""
    counts = metadata_of(done, graph.key(asset))
    return int(str(counts.get("blocks trained now", 0))), int(str(counts.get("blocks reused", 0)))


def _data_version(event: dg.EventLogEntry | None) -> str | None:
    materialization = event.asset_materialization if event else None
    return (materialization.tags or {}).get(DATA_VERSION) if materialization else None


def _raise_for_failures(result: Result) -> None:
    """Raise what a run that failed means to the user; failed checks are results."""
    failures = [event for event in result.all_events if event.is_step_failure]
    ends = [event for event in result.all_events if event.event_type in _ENDS]
    errors = [
        *(event.step_failure_data.error for event in failures),
        *(event.job_failure_data.error for event in ends if event.is_job_failure),
    ]
    canceled = any(not event.is_job_failure for event in ends)
    if canceled or any(error is not None and error.cls_name in _INTERRUPTS for error in errors):
        raise KeyboardInterrupt
    for event in failures:
        _raise_for(event)
    if ends and not failures:
        told = told_of(root_cause(ends[0].job_failure_data.error))
        raise StepFailed(f"the run failed between its steps: {told}")


def _raise_for(event: dg.DagsterEvent) -> None:
    """Raise what a failed step means to the user; a failed check is not a failed step."""
    failure = event.step_failure_data
    error = root_cause(failure.error)
    if error is not None and error.cls_name == "DagsterAssetCheckFailedError":
        return
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        raise InputError(failure.user_failure_data.description)
    if error is not None and error.cls_name == InputError.__name__:
        raise InputError(error.message.strip().partition(": ")[2])
    raise StepFailed(
        f"step {event.step_key} failed: {told_of(error)}; its text could quote records"
    )


def metadata_of(result: Result, key: dg.AssetKey) -> dict[str, object]:
    """What an asset's materialization in this run says of itself."""
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key == key:
            metadata = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in metadata.items()}
    return {}
