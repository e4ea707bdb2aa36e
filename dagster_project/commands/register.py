"""memory-assets register: a pipeline hands over a new version."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from dagster_project.subjects import choose, read_subjects
from memory_assets.disk import remove
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import list_versions
from memory_assets.models.registry import Registry
from memory_assets.subjects import AuditedSubject

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def _put(source: Path, target: Path) -> None:
    """Copy a file or folder to a place, whole or not at all; what stood there is replaced."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        if source.is_dir():
            shutil.copytree(source, temporary)
            if target.exists():
                target.replace(old)
        else:
            shutil.copyfile(source, temporary)
        with temporary.open("rb") if temporary.is_file() else nullcontext() as written:
            if written is not None:
                os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        remove(temporary)
        remove(old)


def copy_in(source: Path, folder: Path, version: str) -> Path:
    """Copy a checkpoint (a file or a folder) into a subject's folder as one version.

    It is written under a name that the sensor leaves out, and renamed when whole.

    Raises:
        InputError: no such file, a name that no file can have, or a version that is there as
            another kind of file.
    """
    if not _VERSION.fullmatch(version):
        raise InputError(f"--version {version!r}: expected letters, digits and . _ + - only")
    if not source.exists():
        raise InputError(f"{source}: no such file")
    there = list_versions(folder).get(version)
    target = folder / (version if source.is_dir() else f"{version}{source.suffix}")
    if there is not None and there != target:
        raise InputError(
            f"version {version!r}: {there} is there already; remove it or choose another version"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _put(source, target)
    return target


def _report(subject: AuditedSubject, root: Path) -> tuple[str, ...]:
    """Tell the Dagster instance at once; returns the versions that are new to it."""
    from dagster_project.components.options import SubjectGraph
    from dagster_project.instance import open_instance
    from dagster_project.sensors.neighbours import report_neighbours
    from dagster_project.sensors.versions import report_versions

    graph = SubjectGraph(subject, root)
    with open_instance() as instance:
        found = report_versions(subject, root, graph.versions, instance)
        report_neighbours(graph, instance, list(found.known), found.changed)
        return found.changed


def register(
    app: typer.Typer,
    one_line_errors: Callable[[Callable[..., object]], Callable[..., object]],
    project_root: Callable[[], Path],
) -> None:
    """Add the command to the app."""

    @app.command(name="register")
    @one_line_errors
    def register_version(
        subject: Annotated[str, typer.Argument(help="The subject that it is a version of.")],
        file: Annotated[Path, typer.Argument(help="The checkpoint: a file, or its folder.")],
        version: Annotated[
            str | None, typer.Option(help="Name of the version; the file's without it.")
        ] = None,
        audit: Annotated[bool, typer.Option("--audit", help="Audit it now.")] = False,
    ) -> None:
        """Hand over a new version, for CI pipelines; a running daemon audits it by itself."""
        root = project_root()
        found = choose(read_subjects(root), [subject])[0]
        if isinstance(found.checkpoints, Registry):
            raise InputError(f"{subject}: its versions come from a registry; register it there")
        name = version or (file.name if file.is_dir() else file.stem)
        target = copy_in(file, root / found.checkpoints, name)
        state = "new" if name in _report(found, root) else "known, with the same bytes"
        print(f"{subject} {name}: {target}, {state}")
        if audit:
            from dagster_project.auditing import run_audits

            done = run_audits([found], root, name, lambda _: None)
            for one in done.audits:
                print(f"{subject} {name}: {one.bundle.audit.verdict}: {one.bundle.audit.reason}")
