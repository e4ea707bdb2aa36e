"""memory-assets register: a pipeline hands over a new version."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from memory_assets.cli.common import project_root, say, say_not_done
from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.subjects import find_subject
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import holds_outputs, list_versions
from memory_assets.models.registry import Registry
from memory_assets.models.strays import is_stray_name
from memory_assets.records.formats import TABLES, WEIGHTS, either, is_one_of
from memory_assets.store.confined import files_in, version_name
from memory_assets.store.disk import replacing, tidy
from memory_assets.workflows.home import Home, find_home

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_FILES = WEIGHTS + TABLES


def _copy(source: Path, target: Path) -> None:
    """Copy a file, or of a folder the regular files below it, and see it on the disk.

    Raises:
        InputError: no file below it, or a link that leads out of the folder: what it leads to would
            be handed over as if it were a part of the model.
    """
    if source.is_file():
        shutil.copyfile(source, target)
        with target.open("rb") as written:
            os.fsync(written.fileno())
        return
    found = list(files_in(source))
    if not found:
        raise InputError(f"{source}: no file in this folder; expected a model's files")
    for file in found:
        at = target / file.relative_to(source)
        at.parent.mkdir(parents=True, exist_ok=True)
        _copy(file, at)


def _refuse_no_version(source: Path, version: str) -> None:
    """Raise InputError for what would lie among the versions and be none."""
    if source.is_dir():
        if is_stray_name(version) or is_one_of(Path(version), TABLES):
            raise InputError(
                f"--version {version!r}: a folder called so is left out; choose another name"
            )
        return
    if not source.is_file():
        raise InputError(f"{source}: no such file or folder")
    if not is_one_of(source, _FILES):
        raise InputError(f"{source}: not a checkpoint; expected a file of {either(_FILES)}")
    if is_one_of(source, TABLES) and not holds_outputs(source):
        raise InputError(
            f"{source}: not the outputs of one model; expected columns logit_0, logit_1 ... or "
            "prob_0, prob_1 ..., and none called model"
        )


def copy_in(source: Path, folder: Path, version: str) -> Path:
    """Copy a checkpoint (a file or a folder) into a subject's folder as one version.

    It is written under a name that the sensor leaves out, and renamed when whole. What an earlier
    call left that was killed is put right first.

    Raises:
        InputError: no such file, one that is no version, a name that no version can have, a version
            that is there as another kind of file, or a folder with no file or a link that leads
            out of it.
    """
    if not _VERSION.fullmatch(version):
        raise InputError(f"--version {version!r}: expected letters, digits and . _ + - only")
    version_name(version, "--version")
    _refuse_no_version(source, version)
    folder.mkdir(parents=True, exist_ok=True)
    tidy(folder)
    there = list_versions(folder).get(version)
    target = folder / (version if source.is_dir() else f"{version}{source.suffix}")
    if there is not None and there != target:
        raise InputError(
            f"version {version!r}: {there} is there already; remove it or choose another version"
        )
    with replacing(target) as temporary:
        _copy(source, temporary)
    return target


def _report(subject: AuditedSubject, root: Path, home: Home) -> tuple[str, ...]:
    """Tell the Dagster instance at once; returns the versions that are new to it."""
    from memory_assets.dagster.components.subject_graph import SubjectGraph
    from memory_assets.dagster.instance import open_instance
    from memory_assets.dagster.sensors.comparison_audits import report_neighbours
    from memory_assets.dagster.sensors.versions import report_versions

    graph = SubjectGraph(subject, root)
    with open_instance(home) as instance:
        found = report_versions(subject, root, home, graph.versions, instance)
        report_neighbours(graph, instance, home, list(found.known), found.changed)
        return found.changed


def register(
    subject: Annotated[str, typer.Argument(help="The subject that it is a version of.")],
    file: Annotated[Path, typer.Argument(help="The checkpoint: a file, or its folder.")],
    version: Annotated[
        str | None, typer.Option(help="Name of the version; the file's without it.")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Audit it now.")] = False,
) -> None:
    """Hand over a new version, for CI pipelines; a running daemon audits it by itself."""
    root, home = project_root(), find_home()
    found = find_subject(root, subject)
    if isinstance(found.checkpoints, Registry):
        raise InputError(f"{subject}: its versions come from a registry; register it there")
    name = version or (file.name if file.is_dir() else file.stem)
    if file.is_dir():
        found.weights(file)  # a folder without any would wait among the versions for ever
    target = copy_in(file, root / found.checkpoints, name)
    state = "new" if name in _report(found, root, home) else "known, with the same bytes"
    say(f"{subject} {name}: {target}, {state}")
    if audit:
        from memory_assets.dagster.auditing import run_audits

        done = run_audits([found], root, home, name, lambda _: None)
        for one in done.audits:
            say(f"{subject} {name}: {one.bundle.audit.verdict}: {one.bundle.audit.reason}")
        # A strange file beside it is no fault of this version, unless nothing came of it.
        say_not_done(one for one in done.not_done if one.about or not done.audits)
