"""Versions in a registry or on the hub, mirrored into a folder where later steps find files."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from memory_assets.artifacts import ArtifactStore, home
from memory_assets.confined import files_in
from memory_assets.digest import digest
from memory_assets.disk import private_folder, remove, temporary_folder, write_private
from memory_assets.errors import InputError
from memory_assets.models.hub import is_hub_id, snapshot

_WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
_ALIASES = ".aliases.json"
_NUMBER = re.compile("[0-9]{1,18}")
_TAKEN = ".taken"
"""What a version was mirrored from: the commit and the files that were there."""
# A registry that does not answer is asked again at the next look, and not for minutes at this one.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}

log = logging.getLogger("memory_assets.registry")


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
    """A model registry in place of a folder; as a path it is the folder of its mirror.

    Who asks for other versions of a model has another mirror: each holds what its owner asks for
    and nothing else.
    """

    mlflow: MlflowModel | None = None
    hub: HubModel | None = None

    @model_validator(mode="after")
    def _one(self) -> Registry:
        if (self.mlflow is None) == (self.hub is None):
            raise ValueError("expected a folder, or one of mlflow and hub")
        return self

    def __fspath__(self) -> str:
        if self.hub is not None:
            name = digest("hub", self.hub.model_dump())
        else:
            assert self.mlflow is not None
            name = digest("mlflow", self.mlflow.model_dump())
        return str(home() / "registry" / name[:16])

    def __str__(self) -> str:
        if self.hub is not None:
            return f"the hub's model {self.hub.model}"
        assert self.mlflow is not None
        return f"the registry's model {self.mlflow.model}"


def _client(uri: str) -> Any:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "checkpoints.mlflow: MLflow is not installed; pip install 'memory-assets[mlflow]'"
        ) from None
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _download(client: Any, spec: MlflowModel, version: str, folder: Path) -> bool:
    """Fetch the weights of one version; False where it is not clear which file they are."""
    from mlflow.artifacts import download_artifacts  # pyright: ignore[reportMissingImports]

    with temporary_folder(home()) as temporary:
        source = client.get_model_version_download_uri(spec.model, version)
        got = Path(
            download_artifacts(artifact_uri=source, tracking_uri=spec.uri, dst_path=str(temporary))
        )
        files = [got] if got.is_file() else sorted(p for p in got.rglob("*") if p.is_file())
        for suffix in _WEIGHTS:
            if found := [file for file in files if file.suffix == suffix]:
                break
        else:
            found = []
        if len(found) != 1:
            log.warning("%s version %s: %d files of weights", spec.model, version, len(found))
            return False
        found[0].chmod(0o600)
        shutil.move(found[0], folder / f"{version}{found[0].suffix}")
    return True


def mirror(registry: Registry) -> Path:
    """Bring the mirror of a registered model up to date, and return its folder.

    A sensor and a command may both want that; they take turns.

    Raises:
        InputError: as `_mirror_mlflow` and `_mirror_hub`.
    """
    folder = private_folder(Path(registry))
    with ArtifactStore(home()).lock(f"registry-{folder.name}"):
        if registry.hub is not None:
            return _mirror_hub(registry.hub, folder)
        assert registry.mlflow is not None
        return _mirror_mlflow(registry.mlflow, folder)


def _mirror_hub(spec: HubModel, folder: Path) -> Path:
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
        with temporary_folder(home()) as temporary:
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


def _mirror_mlflow(spec: MlflowModel, folder: Path) -> Path:
    """A file of weights a version.

    A version of a registry never changes, so each is fetched once; one that is deleted there is
    deleted here. Where the artifact of a version does not hold exactly one file of weights, the
    version is left out and the log says so.

    Raises:
        InputError: MLflow is not installed, the server does not answer, or knows no such model.
    """
    client = _client(spec.uri)
    from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]

    try:
        aliases = {
            str(k): str(v) for k, v in client.get_registered_model(spec.model).aliases.items()
        }
        quoted = spec.model.replace("'", "\\'")
        ready = [
            str(v.version)
            for v in client.search_model_versions(f"name='{quoted}'")
            # MLflow numbers versions; what is no number would become the name of a file.
            if v.status == "READY" and _NUMBER.fullmatch(str(v.version))
        ]
        if spec.alias is not None:
            ready = [v for v in ready if v == aliases.get(spec.alias)]
        there = {path.stem: path for path in folder.iterdir() if not path.name.startswith(".")}
        for version in sorted(set(ready) - set(there), key=int):
            _download(client, spec, version, folder)
    except MlflowException as error:
        # Its text may repeat the address, and an address may hold a password.
        raise InputError(
            f"checkpoints.mlflow: {spec.model}: the registry refused or did not answer "
            f"({error.error_code}); check uri and model"
        ) from None
    for version in set(there) - set(ready):
        there[version].unlink()
    write_private(folder / _ALIASES, json.dumps(aliases, sort_keys=True))
    return folder


def version_of_alias(checkpoints: str | Registry, name: str) -> str:
    """The version that an alias such as `production` names; any other name as it is."""
    if isinstance(checkpoints, str) or re.fullmatch(r"\d+", name):
        return name
    path = Path(checkpoints) / _ALIASES
    aliases = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return aliases.get(name, name)
