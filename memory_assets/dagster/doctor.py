"""Is this machine fit for an audit? Each finding says what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.subjects import survey
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import list_versions
from memory_assets.models.registry import folder_of
from memory_assets.store.disk import private_folder
from memory_assets.validity.sensitivity import Sensitivity
from memory_assets.workflows.home import Home
from memory_assets.workflows.sensitivity import own_trainings, planned

PACKAGES = ("dagster", "dagster-webserver", "torch", "transformers", "duckdb", "great-tables")
_LITTLE_DISK = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """`state` is ok, note (worth knowing) or bad (an audit would fail)."""

    state: Literal["ok", "note", "bad"]
    subject: str
    detail: str


def _packages() -> list[Finding]:
    found: list[Finding] = []
    for name in PACKAGES:
        try:
            found.append(Finding("ok", name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(Finding("bad", name, "not installed; run make install"))
    core, server = (next((f.detail for f in found if f.subject == n), "") for n in PACKAGES[:2])
    if core != server:
        detail = f"{core} with web server {server}; install the versions of constraints.txt"
        found.append(Finding("bad", "dagster", detail))
    return found


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("ok", "device", torch.cuda.get_device_name(0))
    return Finding("note", "device", f"CPU, {os.cpu_count()} cores; no CUDA device seen")


def _state(home: Home) -> list[Finding]:
    folder = home.root
    try:
        private_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        detail = f"{folder} cannot be written ({error.strerror}); set MEMORY_ASSETS_HOME"
        return [Finding("bad", "home", detail)]
    free = shutil.disk_usage(folder).free
    disk = f"{free / 1024**3:.1f} GiB free"
    history = home.history.published
    return [
        Finding("ok", "home", str(folder)),
        Finding("ok" if free > _LITTLE_DISK else "note", "disk", disk),
        Finding("ok", "history", str(history))
        if history.is_file()
        else Finding("note", "history", "no audit yet; run memory-assets audit"),
    ]


def _subjects(root: Path, home: Home) -> list[Finding]:
    project = survey(root)
    found = [Finding("bad", f"subject in {one.folder}", one.text) for one in project.unread]
    for name, subject in project.subjects.items():
        try:
            folder = folder_of(subject.checkpoints, root, home.root)
            versions = list_versions(folder, strict=True)
        except InputError as error:
            found.append(Finding("bad", f"subject {name}", str(error)))
            continue
        detail = f"versions {', '.join(versions)}" if versions else f"none in {subject.checkpoints}"
        found.append(Finding("ok" if versions else "note", f"subject {name}", detail))
        found += _shows(name, subject, root, versions, home)
    return found or [Finding("note", "subjects", "none in dagster_project/defs")]


def _shows(
    name: str, subject: AuditedSubject, root: Path, versions: Mapping[str, Path], home: Home
) -> list[Finding]:
    """What an audit of the records at hand could see, and whether its gate could be passed."""
    try:
        rows = planned(subject, root)
        own = own_trainings(subject, root, versions, home.store)
    except InputError as error:
        return [Finding("bad", f"subject {name}", str(error))]
    return [
        *(Finding("ok" if r.can_pass else "note", f"subject {name}", told_of(r)) for r in rows),
        *(Finding("note", f"subject {name}", line) for line in own),
    ]


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.3g}"


def told_of(row: Sensitivity) -> str:
    """One gated metric in a line: limit, records, shadow models, least effect, and can it pass."""
    size = f"n = {row.members:,}" if row.members == row.others else f"n = {row.members:,} and "
    size += "" if row.members == row.others else f"{row.others:,}"
    models = f", K = {row.models}" if row.models else ""
    limit = "no limit" if row.limit is None else f"limit {row.limit:g}"
    seen = _number(row.few)
    if row.spread != row.few:
        seen += f" (a few records wholly) or {_number(row.spread)} (all a little)"
    line = f"{row.metric}, {limit}, {size}{models}: at 80% power sees {seen}"
    if row.can_pass:
        return line
    if row.passable is None:
        return f"{line}; so few records cannot show such a rate; add records"
    return f"{line}; can hardly pass: no leak reaches {row.passable:.3g}; add records or raise it"


def examine(root: Path, home: Home) -> list[Finding]:
    """Everything that an audit needs, in the order in which it needs it."""
    python = Finding("ok", "python", sys.version.split()[0])
    return [python, *_packages(), _device(), *_state(home), *_subjects(root, home)]
