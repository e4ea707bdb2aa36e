"""Versions in a registry or on the hub, mirrored into a folder where later steps find files."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from memory_assets.models.hub import is_hub_id, snapshot
from memory_assets.models.mlflow_models import aliases_of, mirror_mlflow
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.confined import files_in
from memory_assets.store.digest import digest
from memory_assets.store.disk import private_folder, remove, temporary_folder

_TAKEN = ".taken"
"""What a version was mirrored from: the commit and the files that were there."""


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MlflowModel(_Spec):
    """A registered model; login comes from MLflow's own environment variables, never from here."""

    uri: str = Field(description="tracking server, e.g. http://127.0.0.1:5000")
    model: str = Field(description="name of the registered model")
    alias: str | None = Field(
        default=None, description="audit only the version of this alias, e.g. production"
    )


def _hub_id(name: str) -> str:
    if not is_hub_id(name):
        raise ValueError("expected owner/name")
    return name


HubId = Annotated[str, AfterValidator(_hub_id)]
Revision = Annotated[str, Field(min_length=1)]
"""A commit, tag or branch; only a commit is the same for ever."""


class HubModel(_Spec):
    """A model on the Hugging Face hub and the revisions of it that are audited."""

    model: HubId = Field(description="owner/name on the Hugging Face hub")
    versions: dict[Annotated[str, Field(pattern=r"^\w[\w.-]*$")], Revision] = Field(
        min_length=1, description="revision by version"
    )


class Registry(_Spec):
    """A model registry in place of a folder; its versions are read from a mirror.

    Who asks for other versions of a model has another mirror: each holds what its owner asks for
    and nothing else.
    """

    mlflow: MlflowModel | None = Field(default=None, description="a model registered with MLflow")
    hub: HubModel | None = Field(default=None, description="a model on the Hugging Face hub")

    @model_validator(mode="after")
    def _one(self) -> Registry:
        if (self.mlflow is None) == (self.hub is None):
            raise ValueError("expected a folder, or one of mlflow and hub")
        return self

    def mirrored_under(self, home: Path) -> Path:
        """The folder of its mirror under a home."""
        if self.hub is not None:
            name = digest("hub", self.hub.model_dump())
        else:
            assert self.mlflow is not None
            name = digest("mlflow", self.mlflow.model_dump())
        return mirrors(home) / name[:16]

    def __str__(self) -> str:
        if self.hub is not None:
            return f"the hub's model {self.hub.model}"
        assert self.mlflow is not None
        return f"the registry's model {self.mlflow.model}"


def mirrors(home: Path) -> Path:
    """Where a home keeps what it fetched from registries, a folder for each."""
    return home / "registry"


def folder_of(checkpoints: str | Registry, root: Path, home: Path) -> Path:
    """Where a subject's versions are read: a folder of the project, or a mirror in the home."""
    if isinstance(checkpoints, Registry):
        return checkpoints.mirrored_under(home)
    return root / checkpoints


def mirror(registry: Registry, home: Path) -> Path:
    """Bring the mirror of a registered model up to date, and return its folder.

    A sensor and a command may both want that; they take turns.

    Raises:
        InputError: as `mirror_mlflow` and `_mirror_hub`.
    """
    folder = private_folder(registry.mirrored_under(home))
    with ArtifactStore(home).lock(f"registry-{folder.name}"):
        if registry.hub is not None:
            return _mirror_hub(registry.hub, folder, home)
        assert registry.mlflow is not None
        return mirror_mlflow(registry.mlflow, folder, home)


def _mirror_hub(spec: HubModel, folder: Path, home: Path) -> Path:
    """A folder a version with the files of its snapshot; hard links where the disk is the same.

    Raises:
        InputError: neither the cache nor the hub gives a revision.
    """
    for version, revision in spec.versions.items():
        found, there = snapshot(spec.model, revision).resolve(), folder / version
        files = [path for path in files_in(found) if path.parent == found]
        taken = json.dumps([found.name, [path.name for path in files]])
        if (there / _TAKEN).is_file() and (there / _TAKEN).read_text(encoding="utf-8") == taken:
            continue
        with temporary_folder(home) as temporary:
            whole = private_folder(temporary / version)
            for path in files:
                # A version's files may not lead out of its folder; the cache's are links to blobs.
                try:
                    os.link(path.resolve(), whole / path.name)
                except OSError:
                    shutil.copyfile(path, whole / path.name)
            (whole / _TAKEN).write_text(taken, encoding="utf-8")
            remove(there)
            whole.replace(there)
    return folder


def version_of_alias(checkpoints: str | Registry, name: str, home: Path) -> str:
    """The version that an alias such as `production` named when the mirror was brought up to date;
    any other name as it is."""
    if isinstance(checkpoints, str) or re.fullmatch(r"\d+", name):
        return name
    return aliases_of(checkpoints.mirrored_under(home)).get(name, name)
