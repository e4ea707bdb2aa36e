"""A new subject from what lies in a folder, and what is missing for which measurement."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dagster_project.subjects import read_subject, read_subjects
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import columns, list_versions
from memory_assets.records.loading import FORMATS
from memory_assets.records.tables import looks_like_a_record
from memory_assets.subjects import ClassifierSubject

_WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
_TYPE = "dagster_project.ClassifierAudit"


@dataclass(frozen=True)
class Given:
    """What the owner said by flags; None where they left it to what lies in the folder."""

    records: str | None = None
    loader: str | None = None
    label: str | None = None
    members: str | None = None
    recipe: str | None = None
    fit: str | None = None
    command: str | None = None
    predictions: bool = False
    shadows: str | None = None
    checkpoints: str | None = None
    depth: str | None = None


@dataclass(frozen=True)
class Written:
    """The file that was written, and in plain words what is missing for which measurement."""

    subject: str
    path: Path
    missing: tuple[str, ...]


@dataclass
class _Found:
    """What a folder holds, as paths relative to the project."""

    records: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)


def _look(folder: Path, root: Path) -> _Found:
    found = _Found()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        if path.name.startswith("."):
            continue
        if path.suffix in (".csv", ".parquet") and {"logit_0", "prob_0"} & set(columns(path)):
            found.outputs.append(name)
        elif path.suffix == ".csv" and "member" in path.stem.lower():
            found.members.append(name)
        elif path.suffix in _WEIGHTS:
            found.weights.append(name)
        elif path.suffix in FORMATS:
            found.records.append(name)
    return found


def _only(candidates: list[str], what: str, flag: str) -> str | None:
    """The one candidate; more than one is a question that only the owner can answer."""
    if len(candidates) > 1:
        shown = ", ".join(candidates[:4])
        raise InputError(f"{what}: {shown} could be it; say which with {flag}")
    return candidates[0] if candidates else None


def _way(given: Given, shadows: str | None) -> dict[str, Any]:
    ways: dict[str, Any] = {}
    if given.recipe:
        ways["recipe"] = {"model": given.recipe}
    if given.fit:
        ways["fit"] = given.fit
    if given.command:
        ways["command"] = {"run": given.command}
    if given.predictions:
        ways["predictions"] = {"shadows": shadows} if shadows else {}
    if len(ways) > 1:
        raise InputError(
            f"new: {' and '.join('--' + way for way in ways)}; a model comes by one of them"
        )
    return ways


def _columns_of_records(table: Path, label: str) -> dict[str, str]:
    """Which column names the records, by its usual names; the label's must be there."""
    names = columns(table)
    if label not in names:
        shown = "its columns" if looks_like_a_record(names) else ", ".join(names[:12])
        raise InputError(f"{table}: no column {label!r}; say with --label which of {shown} it is")
    identifier = next((name for name in ("id", "record_id") if name in names), None)
    return {"id": identifier} if identifier else {}


def _attributes(
    subject: str, given: Given, found: _Found, folder: str, root: Path
) -> dict[str, Any]:
    shadows = given.shadows or next((o for o in found.outputs if "shadow" in Path(o).stem), None)
    way = _way(given, shadows)
    if not way and found.outputs and not found.weights:
        way = {"predictions": {"shadows": shadows} if shadows else {}}
    records: dict[str, Any] = {}
    if given.loader:
        records["loader"] = given.loader
    elif path := given.records or _only(found.records, "records", "--records"):
        records["path"] = path
    if given.label:
        records["label"] = given.label
    table = root / records.get("path", "")
    if table.suffix in (".csv", ".parquet") and table.is_file():
        records |= _columns_of_records(table, given.label or "label")
    records["members"] = (
        given.members or _only(found.members, "members", "--members") or f"{folder}/members.csv"
    )
    versions = found.weights if "recipe" in way else [o for o in found.outputs if o != shadows]
    folders = sorted({str(Path(version).parent) for version in versions or found.weights})
    checkpoints = given.checkpoints or _only(folders, "checkpoints", "--checkpoints")
    attributes: dict[str, Any] = {"subject": subject, "records": records, **way}
    attributes["checkpoints"] = checkpoints or f"{folder}/versions"
    if given.depth:
        attributes["depth"] = given.depth
    return attributes


def _missing(attributes: dict[str, Any], root: Path) -> list[str]:
    """What stands between this subject and each measurement, a sentence each."""
    said: list[str] = []
    records, checkpoints = attributes["records"], root / attributes["checkpoints"]
    if not (root / records["members"]).is_file():
        said.append(
            f"{records['members']} is not there: list the ids of the records that the model was "
            "trained on; without it nothing can be measured."
        )
    if not list_versions(checkpoints):
        what = "weights" if "recipe" in attributes else "a table of the model's outputs"
        said.append(
            f"{attributes['checkpoints']} holds no version yet: put {what} there, one file each; "
            "until then no version is audited."
        )
    if "predictions" in attributes and not attributes["predictions"].get("shadows"):
        said.append(
            "No shadow models: only the loss attack runs. LiRA, RMIA and the other attacks that "
            "compare, memorization by record and the information bounds need outputs of shadow "
            "models (--shadows), or a recipe, a training callable or a command to make them."
        )
    if "recipe" not in attributes:
        said.append(
            "No recipe: altered copies cannot be asked about, mitigated recipes cannot be trained "
            "beside the original, and every new version needs a table of its outputs."
        )
    else:
        said.append(
            "The recipe has default hyper-parameters (sgd, lr 0.1, 30 epochs, batch 64): write "
            "those that the model was really trained with, or the recipe-match control will fail."
        )
    said.append("No gate: every verdict is inconclusive until you say what may pass (gate:).")
    return said


def _check(attributes: dict[str, Any]) -> None:
    try:
        ClassifierSubject.model_validate(attributes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "subject"
        raise InputError(f"new: {where}: {first['msg'].removeprefix('Value error, ')}") from error


def _refuse_taken(subject: str, path: Path, root: Path) -> None:
    known = read_subjects(root)
    if path.exists() or subject in known:
        near = difflib.get_close_matches(subject, known, n=1)
        raise InputError(
            f"subject {subject!r}: there already ({near[0] if near else path}); "
            "choose another name, or edit that file"
        )


def write_subject(root: Path, folder: Path, subject: str | None, given: Given) -> Written:
    """Write `dagster_project/defs/<subject>/defs.yaml` from a folder and the owner's flags.

    Raises:
        InputError: no such folder, a name that is taken or cannot be one, several files that could
            be meant, no records, or no way to bring the model.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the records and the model")
    folder = folder.absolute()
    name = subject or re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")
    path = root / "dagster_project" / "defs" / name.replace("-", "_") / "defs.yaml"
    _refuse_taken(name, path, root)
    inside = str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)
    attributes = _attributes(name, given, _look(folder, root), inside, root)
    if not {"path", "loader"} & set(attributes["records"]):
        raise InputError(
            f"{folder}: no records ({', '.join(FORMATS)}); say where they are with --records, "
            "or bring a loader with --loader package.module:function"
        )
    if not {"recipe", "fit", "command", "predictions"} & set(attributes):
        raise InputError(
            "how was the model trained? give --recipe package.module:factory, --fit "
            "package.module:function, --command 'python train.py', or --predictions"
        )
    _check(attributes)
    text = yaml.safe_dump(
        {"type": _TYPE, "attributes": attributes}, sort_keys=False, allow_unicode=True
    )
    path.parent.mkdir(parents=True)
    (path.parent / "__init__.py").touch()
    path.write_text(text, encoding="utf-8")
    read_subject(path)
    return Written(name, path, tuple(_missing(attributes, root)))
