"""Which files a subject's records come from: what has to be watched to see them change."""

from __future__ import annotations

from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.owner.makers import code_files
from memory_assets.records.formats import NPY
from memory_assets.records.settings import RecordsSpec
from memory_assets.store.confined import files_in
from memory_assets.store.paths import is_file, is_folder


def source_files(spec: RecordsSpec, root: Path) -> dict[str, Path]:
    """The files behind a subject's records by a name that does not depend on where they lie.

    The list of members, the file of records or the loader's source with all that it imports, and
    what the owner says that the loader reads (`records.files`).

    Raises:
        InputError: one of them is not there.
    """
    given = {name: root / name for name in (spec.members, spec.path, *spec.files) if name}
    if missing := [path for path in given.values() if not (is_file(path) or is_folder(path))]:
        raise InputError(f"records: no file {missing[0]}")
    found: dict[str, Path] = {}
    for name, path in given.items():
        within = list(files_in(path)) if path.is_dir() else []
        found |= {f"{name}/{p.relative_to(path)}": p for p in within} if within else {name: path}
        # The labels of an npy file lie beside it.
        beside = path.parent / spec.label
        if path in NPY and beside.parent == path.parent and is_file(beside):
            found[beside.name] = beside
    if spec.loader is not None:
        found |= code_files(spec.loader, "records.loader")
    return found
