"""Where the versions of subjects lie, as one run sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from memory_assets.config.classifier import AuditedSubject
from memory_assets.models.checkpoints import list_versions
from memory_assets.models.registry import folder_of


@dataclass(frozen=True)
class Released:
    """The versions of each subject by name, oldest first, listed when they are first asked for.

    `home` is the folder under which mirrors of registries lie. What is listed says where a version
    lay, and nothing of its bytes: a step that reads a version takes its fingerprint itself, and
    whoever decides by what is released now (`gate`) or writes down the order for good (the
    history) lists anew.
    """

    home: Path
    _listed: dict[Path, Mapping[str, Path]] = field(default_factory=dict, repr=False)

    def of(self, subject: AuditedSubject, root: Path) -> Mapping[str, Path]:
        """The versions of a subject whose paths are taken from `root`."""
        folder = folder_of(subject.checkpoints, root, self.home)
        if folder not in self._listed:
            self._listed[folder] = list_versions(folder)
        return self._listed[folder]

    def see(self, subject: AuditedSubject, root: Path, versions: Mapping[str, Path]) -> None:
        """Go by what was just listed."""
        self._listed[folder_of(subject.checkpoints, root, self.home)] = versions
