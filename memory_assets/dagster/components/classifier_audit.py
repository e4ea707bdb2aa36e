"""A classifier in YAML becomes its subgraph: records, pool, attacks, leakage and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.dagster.components.mitigation_assets import option_assets
from memory_assets.dagster.components.pool_assets import pool_assets
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.components.version_assets import version_assets
from memory_assets.dagster.sensors.sources import brought_specs, source_sensor
from memory_assets.dagster.sensors.versions import versions_sensor


class ClassifierAudit(dg.Component):
    """Audits every version of a classifier for what it memorized of its training records."""

    def __init__(self, subject: ClassifierSubject, root: Path) -> None:
        self.graph = SubjectGraph(subject, root)

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return ClassifierSubject

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> ClassifierAudit:
        if attributes is None:
            raise ValueError(f"{context.path}: attributes: missing; describe the subject there")
        # Templates such as {{ env.RECORDS }} are resolved, and the result is validated again.
        raw = attributes.model_dump(exclude_unset=True)
        resolved = context.resolution_context.resolve_value(raw)
        return cls(ClassifierSubject.model_validate(resolved), context.project_root)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        return dg.Definitions(
            assets=[
                *brought_specs(self.graph),
                *pool_assets(self.graph),
                *version_assets(self.graph),
                *option_assets(self.graph),
            ],
            sensors=[
                source_sensor(self.graph),
                versions_sensor(self.graph.subject, self.graph.root, self.graph.versions),
            ],
        )
