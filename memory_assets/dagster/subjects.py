"""The subjects under `defs/`, read and checked before Dagster loads them.

Dagster explains a bad component at length; a command line owes its user one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from memory_assets.config.classifier import AuditedSubject
from memory_assets.config.kinds import KINDS
from memory_assets.config.mistakes import first_mistake
from memory_assets.config.renamed import COMPONENT_TYPES
from memory_assets.config.yaml_files import read_yaml
from memory_assets.errors import InputError


def read_subject(path: Path) -> AuditedSubject | None:
    """The subject in a `defs.yaml`, or None where the file defines something else.

    Raises:
        InputError: not YAML, an unknown or missing key, a value of the wrong type.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or "type" not in content:
        raise InputError(f"{path}: type: missing; expected one of {', '.join(KINDS)}")
    if not isinstance(content["type"], str):
        raise InputError(f"{path}: type: expected the name of a component")
    if now := COMPONENT_TYPES.get(content["type"]):
        raise InputError(f"{path}: type: {content['type']!r} is called {now} now; write that")
    model = KINDS.get(content["type"])
    if model is None:
        return None
    unknown = {str(key) for key in content} - {
        "type",
        "attributes",
        "template_vars_module",
        "requirements",
    }
    if unknown:
        raise InputError(f"{path}: {sorted(unknown)[0]}: unknown key; expected type, attributes")
    try:
        return model.model_validate(content.get("attributes") or {})
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error, model)}") from error


def described(root: Path) -> list[Path]:
    """The files that describe the subjects of a project, and other components."""
    return sorted((root / "dagster_project" / "defs").glob("*/defs.yaml"))


@dataclass(frozen=True)
class Unread:
    """A subject's file that cannot be read: its folder, and why, in one line."""

    folder: str
    text: str


@dataclass(frozen=True)
class Survey:
    """The subjects of a project that can be read, by name, and the files that cannot.

    `folders` are those of the subjects under `defs/`, by the same names.
    """

    subjects: dict[str, AuditedSubject]
    unread: tuple[Unread, ...] = ()
    folders: dict[str, str] = field(default_factory=dict)


def survey(root: Path) -> Survey:
    """All subjects of a project; one that cannot be read is named and holds back no other.

    Of two that claim one name neither is read: nobody could tell which of them is meant.
    """
    claims: dict[str, list[tuple[Path, AuditedSubject]]] = {}
    unread = []
    for path in described(root):
        try:
            subject = read_subject(path)
        except InputError as error:
            unread.append(Unread(path.parent.name, str(error)))
        else:
            if subject is not None:
                claims.setdefault(subject.subject, []).append((path, subject))
    for name, claimed in claims.items():
        if len(claimed) > 1:
            paths = [path for path, _ in claimed]
            unread += [Unread(path.parent.name, _taken(path, name, paths)) for path in paths]
    alone = {name: claimed[0] for name, claimed in claims.items() if len(claimed) == 1}
    subjects = {name: subject for name, (_, subject) in alone.items()}
    folders = {name: path.parent.name for name, (path, _) in alone.items()}
    return Survey(subjects, tuple(unread), folders)


def _taken(path: Path, name: str, paths: Iterable[Path]) -> str:
    others = ", ".join(str(other) for other in paths if other != path)
    return f"{path}: attributes.subject: {name!r} is taken by {others}; choose another name"


def read_subjects(root: Path) -> dict[str, AuditedSubject]:
    """All subjects of a project, by name.

    Raises:
        InputError: as `read_subject`, or two subjects of one name.
    """
    found = survey(root)
    for one in found.unread:
        raise InputError(one.text)
    return found.subjects


def find_subject(root: Path, name: str) -> AuditedSubject:
    """The subject of a name, whatever is wrong with others.

    Raises:
        InputError: there is none, or its file cannot be read.
    """
    return choose(survey(root), [name])[0]


def refuse_unread(found: Survey, name: str) -> None:
    """Raise why the file of a subject that was not found may be one that cannot be read.

    Raises:
        InputError: a file cannot be read: the one in the folder of that name, else the first.
    """
    for unread in sorted(found.unread, key=lambda one: one.folder != name):
        raise InputError(unread.text)


def choose(found: Survey, names: Iterable[str]) -> list[AuditedSubject]:
    """The named subjects, whatever is wrong with others; all of them where none is named.

    Raises:
        InputError: an unknown name, a file that cannot be read and may be meant, or no subject at
            all.
    """
    subjects = found.subjects
    known = ", ".join(subjects) or "none"
    for name in names:
        if name not in subjects:
            refuse_unread(found, name)
            near = difflib.get_close_matches(name, subjects, n=1)
            hint = f"did you mean {near[0]!r}" if near else f"known are: {known}"
            raise InputError(f"subject {name!r}: no such subject in dagster_project/defs; {hint}")
    if not subjects:
        raise InputError("no subject in dagster_project/defs; copy defs/digits and change it")
    return [subjects[name] for name in names] if names else list(subjects.values())
