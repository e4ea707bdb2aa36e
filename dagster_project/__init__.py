"""The lineage graph over the instruments of `memory_assets`."""

import warnings

import dagster as dg

# Explicit data versions are what keeps an unchanged asset fresh; Dagster still calls them beta.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*data_version.*")

from dagster_project.components.classifier_audit import ClassifierAudit  # noqa: E402
from dagster_project.components.language_model_audit import LanguageModelAudit  # noqa: E402

__all__ = ["ClassifierAudit", "LanguageModelAudit"]
