"""A classifier's subject from what lies in a folder, and what is missing for which measurement."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory_assets.config.classifier import WAYS
from memory_assets.dagster.starters.raw_inputs import (
    NO_GATE,
    Draft,
    RawInputs,
    named,
    only,
    shown_columns,
)
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import columns, list_versions
from memory_assets.records.formats import ID_LISTS, RECORDS, TABLES, WEIGHTS, either, is_one_of
from memory_assets.records.ids import names_ids
from memory_assets.records.members import USUAL_NAMES
from memory_assets.records.settings import ROW_NUMBER

_TYPE = "memory_assets.ClassifierAudit"


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
        name = named(path, root)
        if path.name.startswith("."):
            continue
        if is_one_of(path, TABLES) and {"logit_0", "prob_0"} & set(columns(path)):
            found.outputs.append(name)
        elif is_one_of(path, ID_LISTS) and "member" in path.stem.lower():
            found.members.append(name)
        elif is_one_of(path, WEIGHTS):
            found.weights.append(name)
        elif is_one_of(path, RECORDS):
            found.records.append(name)
    return found


def _way(inputs: RawInputs, shadows: str | None) -> dict[str, Any]:
    ways: dict[str, Any] = {}
    if inputs.recipe:
        ways["recipe"] = {"model": inputs.recipe}
    if inputs.fit:
        ways["fit"] = inputs.fit
    if inputs.command:
        ways["command"] = {"run": inputs.command}
    if inputs.predictions:
        ways["predictions"] = {"shadows": shadows} if shadows else {}
    if len(ways) > 1:
        raise InputError(
            f"new: {' and '.join('--' + way for way in ways)}; a model comes by one of them"
        )
    return ways


def _columns_of_records(table: Path, label: str, members: Path) -> dict[str, str]:
    """Which column names the records; the label's must be there.

    It is the column that the list of members is headed by, else one of the usual names, else the
    only one that is called as ids are.
    """
    names = columns(table)
    if label not in names:
        shown = shown_columns(names)
        raise InputError(f"{table}: no column {label!r}; say with --label which of {shown} it is")
    others = [name for name in names if name != label and name.strip()]
    headed = columns(members) if is_one_of(members, TABLES) and members.is_file() else []
    like_ids = [name for name in others if names_ids(name)]
    for found in (
        [name for name in headed if name in others],
        [name for name in USUAL_NAMES if name in others][:1],
        like_ids,
    ):
        if len(found) == 1:
            return {"id": found[0]}
    return {}


def _attributes(
    subject: str, inputs: RawInputs, found: _Found, folder: str, root: Path
) -> dict[str, Any]:
    shadows = inputs.shadows or next((o for o in found.outputs if "shadow" in Path(o).stem), None)
    way = _way(inputs, shadows)
    if not way and found.outputs and not found.weights:
        way = {"predictions": {"shadows": shadows} if shadows else {}}
    records: dict[str, Any] = {}
    if inputs.loader:
        records["loader"] = inputs.loader
    elif path := inputs.records or only(found.records, "records", "--records"):
        records["path"] = path
    if inputs.label:
        records["label"] = inputs.label
    members = (
        inputs.members or only(found.members, "members", "--members") or f"{folder}/members.csv"
    )
    table = root / records.get("path", "")
    if is_one_of(table, TABLES) and table.is_file():
        records |= _columns_of_records(table, inputs.label or "label", root / members)
    records["members"] = members
    versions = found.weights if "recipe" in way else [o for o in found.outputs if o != shadows]
    folders = sorted({str(Path(version).parent) for version in versions or found.weights})
    checkpoints = inputs.checkpoints or only(folders, "checkpoints", "--checkpoints")
    attributes: dict[str, Any] = {"subject": subject, "records": records, **way}
    attributes["checkpoints"] = checkpoints or f"{folder}/versions"
    if inputs.depth:
        attributes["depth"] = inputs.depth
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
    if is_one_of(Path(records.get("path", "")), TABLES) and "id" not in records:
        said.append(
            f"No column of ids: write `id:` under records with the column whose ids the list of "
            f"members holds, or `id: {ROW_NUMBER}` if it holds row numbers from 0."
        )
    if not list_versions(checkpoints):
        what = "weights" if "recipe" in attributes else "a table of the model's outputs"
        said.append(
            f"{attributes['checkpoints']} holds no version yet: put {what} there, one file each; "
            "until then no version is audited."
        )
    if "predictions" in attributes and not attributes["predictions"].get("shadows"):
        said.append(
            "No shadow models: only the loss attack runs, which can fail a limit and never pass "
            "one, unless you declare attacker: predictions. LiRA, RMIA and the other attacks that "
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
    said.append(NO_GATE)
    return said


def draft(subject: str, inputs: RawInputs, folder: Path, root: Path) -> Draft:
    """A classifier's subject from what lies in the folder and the owner's flags.

    Raises:
        InputError: several files that could be meant, no records, a missing column, or no way to
            bring the model.
    """
    attributes = _attributes(subject, inputs, _look(folder, root), named(folder, root), root)
    if not {"path", "loader"} & set(attributes["records"]):
        raise InputError(
            f"{folder}: no records ({either(RECORDS)}); say where they are with --records, "
            "or bring a loader with --loader package.module:function; a language model is told by "
            "its folder (config.json and safetensors), or by --held-out"
        )
    if not set(WAYS) & set(attributes):
        raise InputError(
            "how was the model trained? give --recipe package.module:factory, --fit "
            "package.module:function, --command 'python train.py', or --predictions"
        )
    return Draft(_TYPE, attributes, tuple(_missing(attributes, root)))
