"""A language model in YAML becomes its subgraph: texts, leakage, price and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.components.language_assets import language_assets
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.sensors.sources import brought_specs, source_sensor
from memory_assets.dagster.sensors.versions import versions_sensor


class LanguageModelAudit(dg.Component):
    """Audits every version of a causal language model for what it recites of its texts."""

    def __init__(self, subject: LanguageModelSubject, root: Path) -> None:
        self.graph = SubjectGraph(subject, root)

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return LanguageModelSubject

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> LanguageModelAudit:
        if attributes is None:
            raise ValueError(f"{context.path}: attributes: missing; describe the subject there")
        # Templates such as {{ env.TEXTS }} are resolved, and the result is validated again.
        raw = attributes.model_dump(exclude_unset=True)
        resolved = context.resolution_context.resolve_value(raw)
        return cls(LanguageModelSubject.model_validate(resolved), context.project_root)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        return dg.Definitions(
            assets=[*brought_specs(self.graph), *language_assets(self.graph)],
            sensors=[
                source_sensor(self.graph),
                versions_sensor(self.graph.subject, self.graph.root, self.graph.versions),
            ],
        )
