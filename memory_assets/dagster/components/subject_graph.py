"""What every asset of a subject has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import dagster as dg

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.dagster.automation import on_change
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.home import Home
from memory_assets.workflows.mitigations import option_subject
from memory_assets.workflows.released import Released

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

    def store(self, home: Home) -> ArtifactStore:
        """The artifacts of a home, asked for in the subject's name."""
        return home.store_of(self.subject.subject)

    def released(self, released: Released) -> Mapping[str, Path]:
        """Where each version lies, oldest first, as a run sees them."""
        return released.of(self.subject, self.root)

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
        """Late after the owner's cadence; a warning in its last tenth.

        Where the audit plan asks sooner, the schedule audits sooner: that is asked of the history
        when the schedule ticks, and not while the graph loads.
        """
        late = timedelta(days=self.subject.cadence_days)
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
