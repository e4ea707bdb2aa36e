"""Which release is spoken of, and where its files are: not what was audited last."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.dagster.subjects import refuse_unread, survey
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.models.checkpoints import Listing, list_versions, look_for_versions
from memory_assets.models.mlflow_models import ask_registry, looked_at, named_version, why_unread
from memory_assets.models.registry import Registry, folder_of, mirror
from memory_assets.models.release_order import release_key
from memory_assets.workflows.home import Home

_LATEST = "select model_version from latest where subject = $subject"
# An option is a recipe that was tried, and no release: the view has none.
_AUDIT = "select audit_id from versions where subject = $subject and model_version = $version"


@dataclass(frozen=True)
class Release:
    """A version as it is now: its file or folder, or in `missing` why there is none."""

    version: str
    path: Path | None
    missing: str = ""


def release_now(subject: AuditedSubject, root: Path, home: Home, version: str | None) -> Release:
    """The release of that name, or the newest one, as its owner's folder or registry has it now.

    A registry is asked itself, and not its mirror: what it calls newest, or what an alias names
    there, may not have been fetched, and is meant all the same.

    Raises:
        InputError: the registry does not answer or knows no such version; nothing was released.
    """
    where = subject.checkpoints
    folder = folder_of(where, root, home.root)
    if isinstance(where, Registry) and where.mlflow is not None:
        known = ask_registry(where.mlflow)
        version = named_version(where.mlflow, known, version)
        if why := why_unread(folder, known, version):
            return Release(version, None, f"{where} has it, and {why}")
    elif isinstance(where, Registry):
        mirror(where, home.root)
    listing = look_for_versions(folder)
    there = listing.versions
    if version is None:
        version = list(there)[-1] if there else _last_known(subject.subject, home)
        if why := _why_not_newest(subject, root, listing):
            return Release(version, None, why)
    if why := listing.doubtful.get(version):
        return Release(version, None, why)
    path = there.get(version)
    return Release(version, path, "" if path else f"it is not in {where} now")


def _why_not_newest(subject: AuditedSubject, root: Path, listing: Listing) -> str:
    """Why the last version of a folder may not be the newest release; empty where it is.

    What lies there, was meant as a version and could not be read as one may be newer, and of two
    names that rank the same nobody knows which one ships.
    """
    if not listing.versions:
        return ""
    last, *before = reversed(listing.versions)
    if before and release_key(before[0])[0] == release_key(last)[0]:
        return f"{before[0]} ranks the same, and either could be the newest; name one of them"
    doubtful = dict(listing.doubtful)
    if isinstance(subject, ClassifierSubject) and subject.recipe is None:
        doubtful |= _unread_tables(subject, root, listing, last)
    newer = [name for name in doubtful if release_key(name) > release_key(last)]
    return doubtful[max(newer, key=release_key)] if newer else ""


def _unread_tables(
    subject: ClassifierSubject, root: Path, listing: Listing, like: str
) -> dict[str, str]:
    """Tables that are called as the versions are, which are tables too, and name no outputs."""
    with suppress(InputError):
        own = {path.resolve() for path in subject.sources(root).values()}
        own |= {path.resolve() for path in subject.makers(root).values()}
        return {
            name: f"{path}: no table of outputs; expected columns prob_0 or logit_0"
            for name, path in listing.tables.items()
            if path.resolve() not in own and _beginning(name) == _beginning(like)
        }
    return {}


def _beginning(name: str) -> tuple[int, str]:
    """A number, or the word, with which a name begins."""
    rank, _, word = release_key(name)[0][0]
    return rank, word


def released(subject: AuditedSubject, root: Path, home: Path) -> list[str]:
    """The versions of a subject, oldest first, from what lies here: of a registry's mirror also
    those that could not be read, which are releases without an audit."""
    where = subject.checkpoints
    folder = folder_of(where, root, home)
    found = set(list_versions(folder))
    if isinstance(where, Registry) and where.mlflow is not None:
        found.update(looked_at(folder))
    return sorted(found, key=release_key)


def newest_release(root: Path, home: Home, name: str) -> str:
    """The newest version of a subject: the last of its checkpoints, audited or not.

    Where there are no checkpoints now, or no such subject, the newest one that the history knows.
    An audit of an older version does not make it the newest.

    Raises:
        InputError: no checkpoint, and never audited; a registry that does not answer; or the
            subject's file cannot be read.
    """
    project = survey(root)
    subject = project.subjects.get(name)
    if subject is None:
        refuse_unread(project, name)
    if subject is None:
        return _last_known(name, home)
    return release_now(subject, root, home, None).version


def _last_known(name: str, home: Home) -> str:
    known = ask(home.root, _LATEST, {"subject": name})["model_version"].to_pylist()
    if not known:
        raise InputError(f"subject {name!r}: never audited; run memory-assets audit {name}")
    return known[0]


def audit_of(home: Home, name: str, version: str) -> str | None:
    """The id of the audit in force of a release; None where it was never audited.

    Raises:
        InputError: there is no history.
    """
    found = ask(home.root, _AUDIT, {"subject": name, "version": version})["audit_id"].to_pylist()
    return found[0] if found else None


def audited_release(root: Path, home: Home, name: str, version: str | None) -> tuple[str, str]:
    """A release and the id of its audit in force: the given version, else the newest release.

    Raises:
        InputError: it was never audited, or is no release.
    """
    chosen = version or newest_release(root, home, name)
    audit_id = audit_of(home, name, chosen)
    if audit_id is None:
        newest = "" if version else " (the newest version)"
        raise InputError(
            f"{name} {chosen}{newest}: never audited as a release; run memory-assets audit {name}"
        )
    return chosen, audit_id
