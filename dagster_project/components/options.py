"""What every asset of a subject has in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project.automation import on_change
from memory_assets.artifacts import ArtifactStore, home
from memory_assets.subjects import ClassifierSubject


@dataclass(frozen=True)
class SubjectGraph:
    """A subject, the folder its paths are taken from, and its versions as Dagster partitions."""

    subject: ClassifierSubject
    root: Path

    @property
    def versions(self) -> dg.DynamicPartitionsDefinition:
        return dg.DynamicPartitionsDefinition(name=f"{self.subject.slug}_versions")

    @property
    def behind_pool(self) -> dg.AutomationCondition:
        """For what reads the records and the pool: it waits for the pool of changed records."""
        return on_change(apart_from=[self.key("dataset")])

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(home())

    def key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey([self.subject.subject, name])

    def options(
        self,
        name: str,
        kinds: set[str],
        code_version: str,
        automation: dg.AutomationCondition | None = None,
    ) -> dict[str, Any]:
        """Arguments for `dg.asset` and `dg.graph_asset`; without `automation` `on_change()`."""
        return {
            "key": self.key(name),
            "group_name": self.subject.slug,
            "owners": [self.subject.owner],
            "kinds": kinds,
            "code_version": code_version,
            "automation_condition": automation or on_change(),
        }
