"""The same graph in one process: what the daemon would do by and by, done now."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dagster_project.components.option_assets import OPTION_ASSETS
from dagster_project.components.pool_assets import NOTICES
from dagster_project.components.subject_graph import SubjectGraph
from dagster_project.definitions import build_definitions
from dagster_project.defs.portfolio.dashboard import KEY as DASHBOARD
from dagster_project.executors import CONFIG, IN_PROCESS, executor_name, portable_job
from dagster_project.failures import StepFailed, root_cause, told_of
from dagster_project.instance import end_abandoned_runs, open_instance, owner_tag
from dagster_project.kinds import kind_of
from dagster_project.references import refers_to, sweep_runs
from dagster_project.sensors.neighbours import report_neighbours
from dagster_project.sensors.sources import report_sources
from dagster_project.sensors.versions import report_versions
from dagster_project.sensors.watching import DATA_VERSION
from memory_assets.artifacts import ArtifactStore, home
from memory_assets.audits.language import read_notices
from memory_assets.disk import sweep
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.store import History
from memory_assets.models.registry import version_of_alias
from memory_assets.subjects import AuditedSubject

MONEY_ASSETS = ("risk", "audit_plan", "roi_report")

# The event log belongs in the UI; the terminal shows progress and the result.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Result = dg.ExecuteInProcessResult | dg.JobExecutionResult
Progress = Callable[[str], None]
"""Called with a few words on what is being done now."""


@dataclass(frozen=True)
class Audited:
    """One version after its audit; `notices` say by id what was left out and why."""

    subject: str
    version: str
    bundle: AuditBundle
    reused: bool
    notices: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        return "reused" if self.reused else "new"


@dataclass(frozen=True)
class AuditRun:
    """What one call did: the audits, and how many blocks of shadow models it trained.

    `audits` are those of versions, `options` those of mitigated recipes. `wrong` says, a line each,
    what lies among the versions that could not be audited; the others were.
    """

    audits: tuple[Audited, ...]
    options: tuple[Audited, ...]
    blocks_trained: int
    blocks_reused: int
    audits_added: int
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Runner:
    job: dg.JobDefinition
    root: Path
    instance: dg.DagsterInstance
    progress: Progress

    def run(self, label: str, keys: list[dg.AssetKey], version: str | None = None) -> Result:
        """Materialize these assets now, as a run that the UI shows like any other.

        A check that fails is a result, not an error: the audit ran. A step that fails is one.

        Raises:
            InputError: a step refused its input. StepFailed: a step broke.
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
        result = self.job.execute_in_process(
            instance=self.instance,
            run_config=_QUIET,
            asset_selection=keys,
            partition_key=version,
            run_id=run_id,
            tags=owner_tag(),
            raise_on_error=False,
        )
        for event in result.all_events:
            if event.is_step_failure:
                _raise_for(event)
        return result

    def _elsewhere(self, keys: list[dg.AssetKey], version: str | None) -> Result:
        """The same run with its steps placed by the executor that the setting names."""
        partition = {} if version is None else {"dagster/partition": version}
        try:
            with dg.execute_job(
                portable_job(self.root, self.job.name),
                self.instance,
                run_config=_QUIET,
                tags={**owner_tag(), **partition},
                asset_selection=keys,
            ) as result:
                for event in result.all_events:
                    if event.is_step_failure:
                        _raise_for(event)
                return result
        except dg.DagsterInvalidConfigError as error:
            raise InputError(f"{CONFIG}: {error.errors[0].message}") from error

    def pool(self, subject: AuditedSubject, graph: SubjectGraph) -> tuple[int, int]:
        """Bring a subject's pool up to date; returns the blocks trained and those reused.

        A pool that stands, and of which the lineage says the same, is not run again.
        """
        kind = kind_of(subject)
        keys = {name: graph.key(name) for name in kind.pool}
        standing = kind.standing(subject, self.root, graph.store)
        if standing is not None:
            known = self.instance.get_latest_materialization_events(list(keys.values()))
            shown = {name: _data_version(known.get(key)) for name, key in keys.items()}
            references = graph.store.root / "references"
            if shown == standing.keys and all(
                refers_to(references, keys[name], key) for name, key in standing.keys.items()
            ):
                return 0, standing.blocks
        done = self.run(f"{subject.subject} pool", list(keys.values()))
        return _blocks(done, graph)

    def record(self) -> int:
        """Bring the history and its page up to date; returns how many audits were added."""
        history = dg.AssetKey(["portfolio", "history"])
        done = self.run("history", [history, DASHBOARD])
        return int(str(_metadata(done, history)["audits added"]))


def _blocks(done: Result, graph: SubjectGraph) -> tuple[int, int]:
    """Blocks of shadow models that a run trained and reused; none where a kind has no such."""
    counts = _metadata(done, graph.key("shadow_models"))
    return int(str(counts.get("blocks trained now", 0))), int(str(counts.get("blocks reused", 0)))


def _data_version(event: dg.EventLogEntry | None) -> str | None:
    materialization = event.asset_materialization if event else None
    return (materialization.tags or {}).get(DATA_VERSION) if materialization else None


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


def _metadata(result: Result, key: dg.AssetKey) -> dict[str, object]:
    """What an asset's materialization in this run says of itself."""
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key == key:
            metadata = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in metadata.items()}
    return {}


def _notices(instance: dg.DagsterInstance, graph: SubjectGraph) -> list[str]:
    """What a subject's data set says was taken or left out by a rule as it was read."""
    event = instance.get_latest_materialization_event(graph.key("dataset"))
    read = event.asset_materialization if event else None
    said = read.metadata.get(NOTICES) if read else None
    lines = said.value if isinstance(said, dg.JsonMetadataValue) else None
    return [str(line) for line in lines] if isinstance(lines, list) else []


def _audited(
    subject: AuditedSubject, done: Result, graph: SubjectGraph, instance: dg.DagsterInstance
) -> Audited:
    facts = _metadata(done, graph.key("leakage"))
    bundle = AuditBundle.read(Path(str(facts["path"])))
    version = bundle.audit.model_version
    if "findings" in facts:
        notices = read_notices(Path(str(facts["findings"])))
    else:
        notices = _notices(instance, graph)
    return Audited(subject.subject, version, bundle, bool(facts["reused"]), tuple(notices))


def _versions(subject: AuditedSubject, seen: list[str], wanted: str | None) -> list[str]:
    if not seen:
        raise InputError(
            f"{subject.checkpoints}: no checkpoints of {subject.subject}; put one file or folder "
            "per version there (the shipped ones are made by `make audit`)"
        )
    if wanted is None:
        return seen
    wanted = version_of_alias(subject.checkpoints, wanted)
    if wanted not in seen:
        raise InputError(
            f"version {wanted!r}: not in {subject.checkpoints}; found {', '.join(seen)}"
        )
    return [wanted]


def run_audits(
    subjects: list[AuditedSubject], root: Path, version: str | None, progress: Progress
) -> AuditRun:
    """Bring these subjects' pools, audits, reports and the history up to date.

    Whatever exists under its digest is reused. Two processes at the same subject take turns.

    Raises:
        InputError: something the owner gave is wrong. StepFailed: a step broke.
    """
    store = ArtifactStore(home())
    sweep(store.root)
    History(store.root).upgrade()
    sweep_runs(store.root / "references")
    with open_instance() as instance:
        end_abandoned_runs(instance)
        definitions = build_definitions(root)
        runner = _Runner(
            definitions.resolve_implicit_global_asset_job_def(), root, instance, progress
        )
        audits: list[Audited] = []
        options: list[Audited] = []
        wrong: list[str] = []
        trained = reused = added = 0
        for subject in subjects:
            lock = store.lock(f"audit-{subject.subject}")
            progress(f"{subject.subject}: waiting for another audit" if lock.is_locked else "")
            with lock:
                graph, kind = SubjectGraph(subject, root), kind_of(subject)
                report_sources(graph, instance)
                seen = report_versions(subject, root, graph.versions, instance)
                wrong += seen.wrong
                if seen.wrong and not seen.present:
                    continue  # nothing there can be audited, and the other subjects can
                versions = _versions(subject, list(seen.present), version)
                made = runner.pool(subject, graph)
                trained, reused = trained + made[0], reused + made[1]
                for name in versions:
                    done = runner.run(
                        f"{subject.subject} {name}",
                        [graph.key(asset) for asset in kind.version],
                        name,
                    )
                    audits.append(_audited(subject, done, graph, instance))
                for option in kind.options(graph) if version is None else ():
                    keys = [option.key(asset) for asset in OPTION_ASSETS]
                    done = runner.run(f"{subject.subject} {option.option}", keys)
                    made = _blocks(done, option)
                    trained, reused = trained + made[0], reused + made[1]
                    options.append(_audited(subject, done, option, instance))
                if any(not a.reused for a in (*audits, *options)):
                    # What a version costs is held against its siblings, and its report shows them.
                    added += runner.record()
                # Said before the prices that read them: a daemon then has nothing left to do.
                report_neighbours(graph, instance, list(seen.known), versions)
                for name in versions:
                    keys = [graph.key(asset) for asset in MONEY_ASSETS]
                    runner.run(f"{subject.subject} {name}", keys, name)
        added += runner.record()
    return AuditRun(tuple(audits), tuple(options), trained, reused, added, tuple(wrong))
