"""What a Dagster project imports: components, assets, sensors and checks."""

import warnings

import dagster as dg

# Explicit data versions are what keeps an unchanged asset fresh; Dagster still calls them beta.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*data_version.*")

from memory_assets.dagster.components.classifier_audit import ClassifierAudit  # noqa: E402
from memory_assets.dagster.components.language_model_audit import LanguageModelAudit  # noqa: E402

__all__ = ["ClassifierAudit", "LanguageModelAudit"]
