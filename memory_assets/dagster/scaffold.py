"""A new subject from what lies in a folder, and what is missing for which measurement."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from memory_assets.config.kinds import KINDS
from memory_assets.dagster.starters import classifier, language
from memory_assets.dagster.starters.raw_inputs import (
    CLASSIFIERS,
    LANGUAGE_MODELS,
    Draft,
    RawInputs,
)
from memory_assets.dagster.subjects import read_subject, read_subjects
from memory_assets.errors import InputError
from memory_assets.store.disk import write_private


@dataclass(frozen=True)
class Written:
    """The file that was written, and in plain words what is missing for which measurement."""

    subject: str
    path: Path
    missing: tuple[str, ...]


def _refuse_taken(subject: str, path: Path, root: Path) -> None:
    known = read_subjects(root)
    if path.exists() or subject in known:
        near = difflib.get_close_matches(subject, known, n=1)
        raise InputError(
            f"subject {subject!r}: there already ({near[0] if near else path}); "
            "choose another name, or edit that file"
        )
    # What a killed `new` leaves is empty; anything else is somebody's.
    left = path.parent.iterdir() if path.parent.is_dir() else []
    if other := [p.name for p in left if p.name[0] not in "._"]:
        raise InputError(
            f"subject {subject!r}: {path.parent} holds {other[0]}; choose another name"
        )


def _is_language_model(inputs: RawInputs, folder: Path, root: Path) -> bool:
    """What the flags speak of; where they speak of neither kind, what lies in the folder."""
    text, record = inputs.first_of(LANGUAGE_MODELS), inputs.first_of(CLASSIFIERS)
    if text and record:
        raise InputError(
            f"new: {text} is said of language models and {record} of classifiers; leave one out"
        )
    if text or record:
        return bool(text)
    return language.recognises(inputs, folder, root)


def _check(draft: Draft) -> None:
    try:
        KINDS[draft.type].model_validate(draft.attributes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "subject"
        raise InputError(f"new: {where}: {first['msg'].removeprefix('Value error, ')}") from error


def write_subject(root: Path, folder: Path, subject: str | None, inputs: RawInputs) -> Written:
    """Write `dagster_project/defs/<subject>/defs.yaml` from a folder and the owner's flags.

    A folder with a causal language model in Hugging Face form becomes a `LanguageModelAudit`, any
    other a `ClassifierAudit`.

    Raises:
        InputError: no such folder, a name that is taken or cannot be one, several files that could
            be meant, no records or texts, or no way to bring a classifier.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the records and the model")
    folder = folder.absolute()
    name = subject or re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")
    path = root / "dagster_project" / "defs" / name.replace("-", "_") / "defs.yaml"
    _refuse_taken(name, path, root)
    kind = language if _is_language_model(inputs, folder, root) else classifier
    draft = kind.draft(name, inputs, folder, root)
    _check(draft)
    text = yaml.safe_dump(
        {"type": draft.type, "attributes": draft.attributes}, sort_keys=False, allow_unicode=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    write_private(path, text)
    read_subject(path)
    return Written(name, path, draft.missing)
