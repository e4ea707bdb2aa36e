"""A language model's subject from what lies in a folder, and what is missing for what."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from memory_assets.dagster.starters.language_files import Found, holds_models, look, read_as
from memory_assets.dagster.starters.raw_inputs import NO_GATE, Draft, RawInputs, named, only
from memory_assets.errors import InputError
from memory_assets.language.folders import ADAPTER, has_tokenizer, read_json
from memory_assets.models.checkpoints import list_versions
from memory_assets.records.formats import CSV

_TYPE = "memory_assets.LanguageModelAudit"


def recognises(inputs: RawInputs, folder: Path, root: Path) -> bool:
    """Whether a causal model lies in the folder or under `--checkpoints`, or members are texts."""
    if inputs.members and Path(inputs.members) not in CSV:
        return True
    places = [folder, root / inputs.checkpoints] if inputs.checkpoints else [folder]
    return any(holds_models(place) for place in places)


def _checkpoints(inputs: RawInputs, found: Found, folder: Path, root: Path) -> str:
    """The folder whose entries are the versions, and nothing else."""
    parents = sorted({named(version.parent, root) for version in found.versions})
    chosen = inputs.checkpoints or only(parents, "checkpoints", "--checkpoints")
    chosen = chosen or f"{named(folder, root)}/versions"
    for path in list_versions(root / chosen).values():
        whole = any((path / name).is_file() for name in ("config.json", ADAPTER))
        if not whole or named(path, root) in (*found.reference, *found.base):
            raise InputError(
                f"checkpoints: {chosen} holds {path.name} as well, and each entry is taken for a "
                "version: put the versions in a folder of their own, or name one with --checkpoints"
            )
    return chosen


def _secrets(inputs: RawInputs, found: Found) -> dict[str, str]:
    """A canary manifest, or a list of secrets where there is none."""
    if inputs.manifest or inputs.secrets:
        both = {"manifest": inputs.manifest, "secrets": inputs.secrets}
        return {name: path for name, path in both.items() if path}
    if manifest := only(found.manifests, "canary manifest", "--manifest"):
        return {"manifest": manifest}
    secrets = only(found.secrets, "secrets", "--secrets")
    return {"secrets": secrets} if secrets else {}


def _tokenizer(found: Found, folder: Path, versions: list[Path], root: Path) -> str:
    """The folder of the tokenizer that goes with a recipe: a version's, or one of its own."""
    beside = [named(path, root) for path in versions if has_tokenizer(path)]
    return [*beside, *found.tokenizers, f"{named(folder, root)}/tokenizer"][0]


def _attributes(subject: str, inputs: RawInputs, folder: Path, root: Path) -> dict[str, Any]:
    found = look(folder, root)
    members = inputs.members or only(found.members, "members", "--members")
    members = members or only(found.others, "members", "--members")
    if not members:
        raise InputError(
            f"{folder}: no texts (.parquet, .jsonl, .txt) that the model was trained on; say where "
            "they are with --members"
        )
    attributes: dict[str, Any] = {
        "subject": subject,
        "members": read_as(members, root, inputs.text),
    }
    if held_out := inputs.held_out or only(found.held_out, "held-out texts", "--held-out"):
        attributes["held_out"] = read_as(held_out, root, inputs.text)
    attributes |= _secrets(inputs, found)
    attributes["checkpoints"] = _checkpoints(inputs, found, folder, root)
    versions = list(list_versions(root / attributes["checkpoints"]).values())
    base = inputs.base or only(found.base, "base", "--base")
    adapters = any((version / ADAPTER).is_file() for version in versions)
    # The base of adapters is needed to open them; that of whole models never saw the members.
    reference = inputs.reference or only(found.reference, "reference", "--reference")
    if reference or (base and not adapters):
        attributes["reference"] = reference or base
    if base and (adapters or inputs.base):
        attributes["base"] = base
    if inputs.recipe:
        tokenizer = _tokenizer(found, folder, versions, root)
        attributes["recipe"] = {"model": inputs.recipe, "tokenizer": tokenizer}
    return attributes


def _of_version(name: str, folder: Path, based: bool, root: Path) -> list[str]:
    """What keeps one version from being opened."""
    said = []
    if not any(folder.glob("*.safetensors")):
        said.append(
            f"Version {name} has pickled weights only, which are never opened: export it with "
            "save_pretrained (safetensors); until then it is not audited."
        )
    if (folder / ADAPTER).is_file():
        under = _settings(folder).get("base_model_name_or_path")
        if not based and not (isinstance(under, str) and (root / under).is_dir()):
            said.append(
                f"Version {name} is an adapter whose base is no folder here: give it with --base, "
                "or it is looked for in the hub's local cache."
            )
        if find_spec("peft") is None:
            said.append(
                f"Version {name} is an adapter, which needs the package peft: pip install "
                "'memory-assets[lora]'."
            )
    elif not has_tokenizer(folder):
        said.append(
            f"Version {name} has no tokenizer, without which no text can be read: save it in the "
            "same folder (tokenizer.save_pretrained)."
        )
    return said


def _settings(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / ADAPTER)
    except InputError:  # the audit refuses it in one line
        return {}


def _of_secrets(attributes: dict[str, Any], root: Path) -> list[str]:
    from memory_assets.records.secrets import Manifest, load_secrets

    if "manifest" in attributes:
        secrets = Manifest.read(root / attributes["manifest"]).secrets
    elif "secrets" in attributes:
        secrets = load_secrets(root / attributes["secrets"])
    else:
        return [
            "No canaries and no secrets: what the model gives away of a secret, extraction and "
            "exposure, is not measured. Plant canaries before training (memory-assets canaries), "
            "or list secrets that stand in the texts (--secrets, a CSV with prefix and value)."
        ]
    said = []
    if all(secret.repetitions for secret in secrets):
        said.append(
            "No secret that was never planted (repetitions 0): nothing shows what exposure chance "
            "alone gives, and the control of unplanted canaries does not run."
        )
    if any(secret.pattern is None for secret in secrets):
        said.append(
            "Some secrets have no pattern: they are tried, but have no exposure, since nothing "
            "says what else they might have been."
        )
    return said


def _missing(attributes: dict[str, Any], root: Path) -> list[str]:
    """What stands between this subject and each measurement, a sentence each."""
    said: list[str] = []
    versions = list_versions(root / attributes["checkpoints"])
    if not versions:
        said.append(
            f"{attributes['checkpoints']} holds no version yet: put a folder for each there "
            "(config.json, safetensors, tokenizer); until then no version is audited."
        )
    for name, folder in versions.items():
        said += _of_version(name, folder, "base" in attributes, root)
    if "held_out" not in attributes:
        said.append(
            "No held-out texts: membership is not measured, and without the controls that need "
            "them no version gets a verdict. Give at least 100 texts of the same kind that the "
            "model never saw (--held-out)."
        )
    said += _of_secrets(attributes, root)
    if "reference" not in attributes:
        said.append(
            "No reference model: the reference score and the bits that the model knows beyond "
            "others are not measured. Give a model that did not see the members, such as the base "
            "of a fine-tune (--reference)."
        )
    if "recipe" not in attributes:
        said.append(
            "No recipe, so no shadow models: LiRA, RMIA, BaVarIA and counterfactual memorization "
            "are not measured. Where the model was trained from scratch, give its factory "
            "(--recipe package.module:function)."
        )
    else:
        said += _of_recipe(attributes["recipe"], root)
    said.append(NO_GATE)
    return said


def _of_recipe(recipe: dict[str, Any], root: Path) -> list[str]:
    said = [
        "The recipe has default hyper-parameters (lr 0.003, 10 epochs, windows of 128, batches of "
        "1024 tokens): write those that the model was really trained with, or the recipe-match "
        "control will fail."
    ]
    if not has_tokenizer(root / recipe["tokenizer"]):
        said.append(
            f"{recipe['tokenizer']} holds no tokenizer: save there the one that the versions "
            "have; without it no shadow model is trained."
        )
    return said


def draft(subject: str, inputs: RawInputs, folder: Path, root: Path) -> Draft:
    """A language model's subject from what lies in the folder and the owner's flags.

    Raises:
        InputError: several files that could be meant, no texts, a missing column, a manifest or
            list that cannot be read, or a folder of checkpoints that holds other things.
    """
    attributes = _attributes(subject, inputs, folder, root)
    return Draft(_TYPE, attributes, tuple(_missing(attributes, root)))
