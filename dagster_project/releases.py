"""The newest release of a subject, by the order of its versions: not what was audited last."""

from __future__ import annotations

from pathlib import Path

from dagster_project.subjects import refuse_unread, survey
from memory_assets.artifacts import home
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.models.checkpoints import list_versions

_LATEST = "select model_version from latest where subject = $subject"
# An option is a recipe that was tried, and no release: the view has none.
_AUDIT = "select audit_id from versions where subject = $subject and model_version = $version"


def newest_release(root: Path, name: str) -> str:
    """The newest version of a subject: the last of its checkpoints, audited or not.

    Where there are no checkpoints now, the newest one that the history knows. An audit of an older
    version does not make it the newest.

    Raises:
        InputError: no checkpoint, and never audited; or its file cannot be read.
    """
    project = survey(root)
    subject = project.subjects.get(name)
    if subject is None:
        refuse_unread(project, name)
    released = list(list_versions(root / subject.checkpoints)) if subject else []
    if released:
        return released[-1]
    known = ask(home(), _LATEST, {"subject": name})["model_version"].to_pylist()
    if not known:
        raise InputError(f"subject {name!r}: never audited; run memory-assets audit {name}")
    return known[0]


def audit_of(name: str, version: str) -> str | None:
    """The id of the newest audit of a release; None where it was never audited.

    Raises:
        InputError: there is no history.
    """
    found = ask(home(), _AUDIT, {"subject": name, "version": version})["audit_id"].to_pylist()
    return found[0] if found else None


def audited_release(root: Path, name: str, version: str | None) -> tuple[str, str]:
    """A release and the id of its newest audit: the given version, else the newest release.

    Raises:
        InputError: it was never audited, or is no release.
    """
    chosen = version or newest_release(root, name)
    audit_id = audit_of(name, chosen)
    if audit_id is None:
        newest = "" if version else " (the newest version)"
        raise InputError(
            f"{name} {chosen}{newest}: never audited as a release; run memory-assets audit {name}"
        )
    return chosen, audit_id
