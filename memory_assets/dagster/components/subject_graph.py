"""What every asset of a subject has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import dagster as dg

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.dagster.automation import on_change
from memory_assets.errors import InputError
from memory_assets.store.artifacts import ArtifactStore, home
from memory_assets.workflows.mitigations import option_subject
from memory_assets.workflows.record import cadence_in_force

_SHARED = ("source", "recipe", "profile", "dataset")
"""What the options of a subject have in common with it."""

_PLANNED = ("leakage", "roi_report")
"""What is late when no version was audited for longer than the audit plan allows."""


S = TypeVar("S", bound=AuditedSubject)


@dataclass(frozen=True)
class SubjectGraph(Generic[S]):
    """A subject, the folder its paths are taken from, and its versions as Dagster partitions.

    `option` names the mitigated recipe whose assets are meant, "" for the subject itself.
    """

    subject: S
    root: Path
    option: str = ""

    @property
    def slug(self) -> str:
        """A prefix for the names of ops."""
        option = self.option.replace("-", "_")
        return f"{self.subject.slug}__{option}" if option else self.subject.slug

    @property
    def versions(self) -> dg.DynamicPartitionsDefinition:
        return dg.DynamicPartitionsDefinition(name=f"{self.subject.slug}_versions")

    @property
    def behind_pool(self) -> dg.AutomationCondition:
        """For what reads the records and the pool: it waits for the pool of changed records."""
        return on_change(apart_from=[self.key("dataset")])

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(home(), self.subject.subject)

    def key(self, name: str) -> dg.AssetKey:
        if self.option and name not in _SHARED:
            return dg.AssetKey([self.subject.subject, "options", self.option, name])
        return dg.AssetKey([self.subject.subject, name])

    def of_option(
        self: SubjectGraph[ClassifierSubject], name: str
    ) -> SubjectGraph[ClassifierSubject]:
        """The same for one mitigated recipe: its assets stand under `options/<name>`."""
        return SubjectGraph(option_subject(self.subject, name), self.root, name)

    def _freshness(self) -> dg.FreshnessPolicy:
        """Late after the cadence in force at loading; a warning in its last tenth."""
        try:
            days = cadence_in_force(home(), self.subject)
        except InputError:
            # A history that cannot be read must not keep the graph from loading: `doctor` and the
            # next audit say what is wrong with it.
            days = self.subject.cadence_days
        late = timedelta(days=days)
        return dg.FreshnessPolicy.time_window(fail_window=late, warn_window=late * 0.9)

    def asset_arguments(
        self,
        name: str,
        kinds: set[str],
        code_version: str,
        automation: dg.AutomationCondition | None = None,
    ) -> dict[str, Any]:
        """Arguments for `dg.asset` and `dg.graph_asset`; without `automation` `on_change()`."""
        planned = name in _PLANNED and not self.option
        return {
            "key": self.key(name),
            **({"freshness_policy": self._freshness()} if planned else {}),
            "group_name": self.subject.slug,
            "owners": [self.subject.owner],
            "kinds": kinds,
            "code_version": code_version,
            "automation_condition": automation or on_change(),
        }
