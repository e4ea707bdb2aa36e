"""The lineage graph over the instruments of `memory_assets`."""

from dagster_project.components.classifier_audit import ClassifierAudit

__all__ = ["ClassifierAudit"]
