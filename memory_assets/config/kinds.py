"""The kinds of subject, by the component type that `defs.yaml` names."""

from __future__ import annotations

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject

KINDS: dict[str, type[AuditedSubject]] = {
    "memory_assets.ClassifierAudit": ClassifierSubject,
    "memory_assets.LanguageModelAudit": LanguageModelSubject,
}
"""The component types that audit a subject, and what each takes."""
