"""The same graph in one process: what the daemon would do by and by, done now."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import dagster as dg

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.components.mitigation_assets import OPTION_ASSETS
from memory_assets.dagster.components.pool_assets import NOTICES
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.definitions import build_definitions, load_alone
from memory_assets.dagster.executors import executor_name
from memory_assets.dagster.failures import NotDone, StepFailed, attempt
from memory_assets.dagster.instance import end_abandoned_runs, open_instance
from memory_assets.dagster.kinds import kind_of
from memory_assets.dagster.references import sweep_runs
from memory_assets.dagster.running import Progress, Result, Runner, blocks_of, metadata_of
from memory_assets.dagster.sensors.comparison_audits import report_neighbours
from memory_assets.dagster.sensors.sources import report_sources
from memory_assets.dagster.sensors.versions import Observation, report_versions
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.questions import ask
from memory_assets.models.registry import version_of_alias
from memory_assets.store.disk import sweep
from memory_assets.workflows.home import Home
from memory_assets.workflows.language import read_notices
from memory_assets.workflows.mitigations import option_version
from memory_assets.workflows.released import Released

MONEY_ASSETS = ("risk", "audit_plan", "roi_report")
T = TypeVar("T")


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

    `audits` are those of versions, `options` those of mitigated recipes. `missed` names, with its
    subject, each version and option that was to be audited and could not be; the version is empty
    where not even those are known. `not_done` says why, and what else went wrong, a line each.
    """

    audits: tuple[Audited, ...]
    options: tuple[Audited, ...]
    blocks_trained: int
    blocks_reused: int
    audits_added: int
    missed: tuple[tuple[str, str], ...] = ()
    not_done: tuple[NotDone, ...] = ()


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
    facts = metadata_of(done, graph.key("leakage"))
    bundle = AuditBundle.read(Path(str(facts["path"])))
    version = bundle.audit.model_version
    if "findings" in facts:
        notices = read_notices(Path(str(facts["findings"])))
    else:
        notices = _notices(instance, graph)
    return Audited(subject.subject, version, bundle, bool(facts["reused"]), tuple(notices))


def _changes_history(home: Home, audits: Sequence[Audited]) -> bool:
    """Whether the history says otherwise: it lacks an audit, or another one is in force there."""
    if not audits or not home.has_history:
        return bool(audits)
    in_force = set(ask(home.root, "select audit_id from audits_in_force")["audit_id"].to_pylist())
    return any(audited.bundle.audit.audit_id not in in_force for audited in audits)


def _versions(
    subject: AuditedSubject, seen: list[str], wanted: str | None, home: Home
) -> list[str]:
    if not seen:
        raise InputError(
            f"{subject.checkpoints}: no checkpoints of {subject.subject}; put one file or folder "
            "per version there (the shipped ones are made by `make audit`)"
        )
    if wanted is None:
        return seen
    wanted = version_of_alias(subject.checkpoints, wanted, home.root)
    if wanted not in seen:
        raise InputError(
            f"version {wanted!r}: not in {subject.checkpoints}; found {', '.join(seen)}"
        )
    return [wanted]


@dataclass
class _Tally:
    """What was done up to now, for all subjects."""

    audits: list[Audited] = field(default_factory=list)
    options: list[Audited] = field(default_factory=list)
    missed: list[tuple[str, str]] = field(default_factory=list)
    not_done: list[NotDone] = field(default_factory=list)
    trained: int = 0
    reused: int = 0
    added: int = 0

    def count(self, blocks: tuple[int, int]) -> None:
        self.trained += blocks[0]
        self.reused += blocks[1]

    def record(self, runner: Runner) -> None:
        """Bring the history up to date; where that fails, the audits are there all the same."""
        self.added += (
            attempt(self.not_done, runner.home.root, "portfolio", "history", runner.record) or 0
        )

    def done(self) -> AuditRun:
        return AuditRun(
            tuple(self.audits),
            tuple(self.options),
            self.trained,
            self.reused,
            self.added,
            tuple(self.missed),
            tuple(dict.fromkeys(self.not_done)),
        )


@dataclass(frozen=True)
class _OfSubject:
    """The audits of one subject. What fails there holds back nothing that does not rest on it."""

    runner: Runner
    subject: AuditedSubject
    tally: _Tally

    @property
    def name(self) -> str:
        return self.subject.subject

    @cached_property
    def graph(self) -> SubjectGraph:
        return SubjectGraph(self.subject, self.runner.root)

    def _attempt(self, about: str, work: Callable[[], T]) -> T | None:
        return attempt(self.tally.not_done, self.runner.home.root, self.name, about, work)

    def run(self, version: str | None) -> None:
        """Bring pool, audits and reports of the subject up to date, of one version or of all."""
        seen = self._attempt("", self._look)
        if seen is None:
            self.tally.missed.append((self.name, version or ""))
            return
        self.tally.not_done += [NotDone(self.name, "", line) for line in seen.wrong]
        if seen.wrong and not seen.present:
            self.tally.missed.append((self.name, version or ""))
            return
        home, present = self.runner.home, list(seen.present)
        versions = self._attempt("", lambda: _versions(self.subject, present, version, home))
        if versions is None:
            self.tally.missed.append((self.name, version or ""))
            return
        began = time.time()
        blocks = self._attempt("pool", lambda: self.runner.pool(self.subject, self.graph))
        self.tally.count(blocks or (0, 0))
        audited = [] if blocks is None else [one for v in versions if (one := self._version(v))]
        self.tally.missed += [
            (self.name, v) for v in versions if v not in [one.version for one in audited]
        ]
        options = self._options(began, blocks is not None) if version is None else []
        self.tally.audits += audited
        self.tally.options += options
        if _changes_history(home, (*audited, *options)):
            # What a version costs is held against its siblings, and its report shows them.
            self.tally.record(self.runner)
        self._price([one.version for one in audited], list(seen.known))

    def _look(self) -> Observation:
        """Report what the owner brings, records and versions.

        Raises:
            InputError: a file is not there, a registry does not answer, or there is no such graph.
        """
        graph, runner = self.graph, self.runner
        if graph.key("leakage") not in self.runner.job.asset_layer.executable_asset_keys:
            load_alone(self.runner.root, self.name)
            raise StepFailed("its assets are missing in the lineage graph")
        report_sources(graph, runner.instance)
        found = report_versions(
            self.subject, runner.root, runner.home, graph.versions, runner.instance
        )
        runner.released.see(self.subject, runner.root, found.versions)
        return found

    def _version(self, version: str) -> Audited | None:
        keys = [self.graph.key(asset) for asset in kind_of(self.subject).version]

        def work() -> Audited:
            done = self.runner.run(f"{self.name} {version}", keys, version)
            self.tally.count(blocks_of(done, self.graph, "version_pool"))
            return _audited(self.subject, done, self.graph, self.runner.instance)

        return self._attempt(version, work)

    def _options(self, began: float, pool_stands: bool) -> list[Audited]:
        """The audits of mitigated recipes: each has a pool of its own, on the same records."""
        options = kind_of(self.subject).options(self.graph)
        if not pool_stands and not self._has_records(began):
            self.tally.missed += [(self.name, option_version(one.option)) for one in options]
            return []
        audited = []
        for option in options:
            about = option_version(option.option)
            done = self._attempt(about, lambda option=option: self._option(option))
            if done is None:
                self.tally.missed.append((self.name, about))
            else:
                audited.append(done)
        return audited

    def _option(self, option: SubjectGraph) -> Audited:
        keys = [option.key(asset) for asset in OPTION_ASSETS]
        done = self.runner.run(f"{self.name} {option.option}", keys)
        self.tally.count(blocks_of(done, option))
        return _audited(self.subject, done, option, self.runner.instance)

    def _has_records(self, since: float) -> bool:
        """Whether the records were prepared since a time, though the pool upon them failed."""
        key = self.graph.key("dataset")
        made = self.runner.instance.get_latest_materialization_event(key)
        return made is not None and made.timestamp >= since

    def _price(self, versions: list[str], released: list[str]) -> None:
        # Said before the prices that read them: a daemon then has nothing left to do.
        self._attempt(
            "prices",
            lambda: report_neighbours(
                self.graph, self.runner.instance, self.runner.home, released, versions
            ),
        )
        keys = [self.graph.key(asset) for asset in MONEY_ASSETS]
        for version in versions:
            label = f"{self.name} {version}"
            self._attempt(
                f"{version} price",
                lambda label=label, version=version: self.runner.run(label, keys, version),
            )


def run_audits(
    subjects: list[AuditedSubject],
    root: Path,
    home: Home,
    version: str | None,
    progress: Progress,
) -> AuditRun:
    """Bring these subjects' pools, audits, reports and the history up to date.

    Whatever exists under its digest is reused. Two processes at the same subject take turns. What
    is wrong with a subject, a version, a pool or an option, or breaks there, holds back nothing
    else: it is said in the result.

    Raises:
        InputError: the history or the instance cannot be opened, or a setting is wrong.
    """
    sweep(home.root)
    home.history.upgrade()
    sweep_runs(home.references)
    executor_name()  # a setting that is wrong is so for every run
    with open_instance(home) as instance:
        end_abandoned_runs(instance, home.root)
        job = build_definitions(root).resolve_implicit_global_asset_job_def()
        runner = Runner(job, root, home, instance, progress, Released(home.root))
        tally = _Tally()
        for subject in subjects:
            lock = home.store.lock(f"audit-{subject.subject}")
            progress(f"{subject.subject}: waiting for another audit" if lock.is_locked else "")
            with lock:
                _OfSubject(runner, subject, tally).run(version)
        # Where nothing could be audited there is nothing to tell, and no history to begin.
        if tally.audits or tally.options or home.has_history:
            tally.record(runner)
    return tally.done()
