"""Names that were mended before the first release: each is refused in one line with the new one."""

from __future__ import annotations

COMPONENT_TYPES = {
    "dagster_project.ClassifierAudit": "memory_assets.ClassifierAudit",
    "dagster_project.LanguageModelAudit": "memory_assets.LanguageModelAudit",
}
"""Types of a component in `defs.yaml`, by what they were called."""
