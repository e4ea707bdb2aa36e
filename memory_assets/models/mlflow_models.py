"""A registered model of MLflow: what the registry says now, and a mirror of its weights."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_assets.errors import InputError
from memory_assets.records.formats import WEIGHTS, suffixes
from memory_assets.store.digest import digest
from memory_assets.store.disk import remove, temporary_folder, write_private

if TYPE_CHECKING:
    from memory_assets.models.registry import MlflowModel

_WEIGHTS = suffixes(WEIGHTS)
_NUMBER = re.compile("[0-9]{1,18}")
_MIRRORED = ".mirrored.json"
# A registry that does not answer is asked again at the next look, and not for minutes at this one.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_READY, _FAILED = "READY", "FAILED_REGISTRATION"

log = logging.getLogger("memory_assets.registry")


@dataclass(frozen=True)
class Registered:
    """What a registry says of a model: its versions, oldest first, and its aliases.

    `versions` maps each to a digest of what it was registered from: a number that is given to
    another model later has another. `ready` are those whose files can be fetched by now.
    """

    versions: Mapping[str, str]
    ready: frozenset[str]
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class _Taken:
    """What the mirror has of a version: from which registration; `wrong` where it has no file."""

    stamp: str
    wrong: str = ""


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


def ask_registry(spec: MlflowModel) -> Registered:
    """What the registry itself says now; nothing is fetched.

    Raises:
        InputError: MLflow is not installed, the server does not answer, or knows no such model.
    """
    client = _client(spec.uri)
    from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]

    quoted = spec.model.replace("'", "\\'")
    rows, token = [], None
    try:
        aliases = client.get_registered_model(spec.model).aliases
        while True:
            page = client.search_model_versions(f"name='{quoted}'", page_token=token)
            rows += page
            if not (token := page.token):
                break
    except MlflowException as error:
        # Its text may repeat the address, and an address may hold a password.
        raise InputError(
            f"checkpoints.mlflow: {spec.model}: the registry refused or did not answer "
            f"({error.error_code}); check uri and model"
        ) from None
    # MLflow numbers versions; what is no number would become the name of a file.
    rows = [row for row in rows if row.status != _FAILED and _NUMBER.fullmatch(str(row.version))]
    rows.sort(key=lambda row: int(row.version))
    return Registered(
        {str(r.version): digest(r.source, r.run_id, r.creation_timestamp) for r in rows},
        frozenset(str(r.version) for r in rows if r.status == _READY),
        {str(name): str(version) for name, version in aliases.items()},
    )


def named_version(spec: MlflowModel, known: Registered, name: str | None) -> str:
    """The version that a number or an alias names; without a name the one that is audited by its
    alias, else the newest.

    Raises:
        InputError: there is no such version or alias, or no version at all.
    """
    alias = spec.alias if name is None else name
    if alias is None:
        if not known.versions:
            raise InputError(f"checkpoints.mlflow: {spec.model} has no version in the registry")
        return list(known.versions)[-1]
    version = known.aliases.get(alias, alias)
    if version not in known.versions:
        there = ", ".join([*known.versions, *sorted(known.aliases)]) or "none"
        raise InputError(
            f"version {alias!r}: the registry has no such version or alias of {spec.model}; "
            f"it has {there}"
        )
    return version


def why_unread(folder: Path, known: Registered, version: str) -> str:
    """Why the mirror does not hold a version as it is registered now; empty where it does."""
    if version not in known.ready:
        return "its registration is not completed"
    taken = _read(folder).get(version)
    if taken is None or taken.stamp != known.versions[version]:
        return "it was not fetched from the registry yet"
    return taken.wrong


def looked_at(folder: Path) -> list[str]:
    """The versions that the mirror holds, or found that it cannot hold."""
    return list(_read(folder))


def aliases_of(folder: Path) -> dict[str, str]:
    """The aliases as they were when the mirror was brought up to date."""
    return _state(folder).get("aliases", {})


def mirror_mlflow(spec: MlflowModel, folder: Path, home: Path) -> Path:
    """Bring a file of weights a version into the folder; what is being fetched waits in the home.

    A version of a registry never changes, so each is fetched once; one that is deleted there is
    deleted here, and so is one whose number was given to another model. Where the artifact of a
    version does not hold exactly one file of weights, the version is left out and the log says so,
    once: it is not fetched again either. What could not be fetched is tried again at the next call.

    Raises:
        InputError: as `ask_registry`.
    """
    known = ask_registry(spec)
    wanted = [version for version in known.versions if version in known.ready]
    if spec.alias is not None:
        wanted = [version for version in wanted if version == known.aliases.get(spec.alias)]
    taken = {
        version: one
        for version, one in _read(folder).items()
        if version in wanted and one.stamp == known.versions[version]
    }
    there = {path.stem: path for path in folder.iterdir() if not path.name.startswith(".")}
    for version in set(there) - {v for v, one in taken.items() if not one.wrong}:
        remove(there[version])
    for version in wanted:
        missing = version not in there and not (version in taken and taken[version].wrong)
        if version in taken and not missing:
            continue
        taken.pop(version, None)
        if (wrong := _fetch(spec, version, folder, home)) is not None:
            taken[version] = _Taken(known.versions[version], wrong)
        _write(folder, known.aliases, taken)
    _write(folder, known.aliases, taken)
    return folder


def _fetch(spec: MlflowModel, version: str, folder: Path, home: Path) -> str | None:
    """Fetch the weights of one version: what is wrong with it for good, empty where nothing is;
    None where it could not be fetched now."""
    from mlflow.artifacts import download_artifacts  # pyright: ignore[reportMissingImports]
    from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]

    with temporary_folder(home) as temporary:
        try:
            source = _client(spec.uri).get_model_version_download_uri(spec.model, version)
            got = Path(
                download_artifacts(
                    artifact_uri=source, tracking_uri=spec.uri, dst_path=str(temporary)
                )
            )
        except (MlflowException, OSError) as error:  # its text may repeat an address
            log.warning(
                "%s version %s: could not be fetched (%s)",
                spec.model,
                version,
                type(error).__name__,
            )
            return None
        files = [got] if got.is_file() else sorted(p for p in got.rglob("*") if p.is_file())
        for suffix in _WEIGHTS:
            if found := [file for file in files if file.suffix == suffix]:
                break
        else:
            found = []
        if len(found) != 1:
            wrong = f"it holds {len(found)} files of weights, expected one ({', '.join(_WEIGHTS)})"
            log.warning("%s version %s: %d files of weights", spec.model, version, len(found))
            return wrong
        found[0].chmod(0o600)
        shutil.move(found[0], folder / f"{version}{found[0].suffix}")
    return ""


def _state(folder: Path) -> dict[str, Any]:
    """What is noted of the mirror; nothing where the note is gone or damaged, so that all is
    fetched again."""
    try:
        found = json.loads((folder / _MIRRORED).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _read(folder: Path) -> dict[str, _Taken]:
    return {v: _Taken(**one) for v, one in _state(folder).get("versions", {}).items()}


def _write(folder: Path, aliases: Mapping[str, str], taken: Mapping[str, _Taken]) -> None:
    versions = {version: one.__dict__ for version, one in taken.items()}
    state = {"aliases": dict(aliases), "versions": versions}
    write_private(folder / _MIRRORED, json.dumps(state, sort_keys=True))
