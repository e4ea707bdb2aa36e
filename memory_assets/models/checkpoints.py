"""Weights from outside are hostile until proven otherwise: only plain tensors are ever read."""

from __future__ import annotations

import csv
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from memory_assets.errors import InputError, printable
from memory_assets.models.recipe import Recipe
from memory_assets.models.release_order import release_key
from memory_assets.models.strays import is_stray_name, why_stray
from memory_assets.models.tensor_names import kind_of, misfit, undo_wrappers
from memory_assets.models.torch_files import CONVERT, read_torch
from memory_assets.records.budget import afford
from memory_assets.records.formats import PARQUET, SAFETENSORS, TABLES, TORCH, suffixes
from memory_assets.store.confined import inside, version_name
from memory_assets.store.digest import digest, digest_file
from memory_assets.store.disk import replacing

if TYPE_CHECKING:
    import torch

_MANIFEST_KEY = "memory_assets"
_BESIDES = ("optim", "scheduler", "rng_state", "training_args", "scaler", "trainer_state")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """What an owner says of a checkpoint, kept inside the file so that the two cannot part.

    `members_digest` and `data_digest` are digests of the member ids and of the data set that it
    was trained on.
    """

    recipe: dict[str, Any]
    members_digest: str
    data_digest: str
    note: str = ""


class _ManifestRow(BaseModel):
    """A manifest as a file holds it; the fields are those of `Manifest`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    recipe: dict[str, Any]
    members_digest: str
    data_digest: str
    note: str = ""


def checkpoint_file(path: Path) -> Path:
    """The weights of a version: the file itself, or the one safetensors file of a folder.

    Raises:
        InputError: none, several, or others of another format beside it, of which nobody can say
            which ship.
    """
    if path.is_file():
        return path
    found = sorted(p for p in path.glob(f"*{SAFETENSORS.suffix}") if not is_stray_name(p.name))
    if len(found) != 1 or not inside(found[0], path).is_file():
        raise InputError(
            f"{path}: {len(found)} {SAFETENSORS.suffix} files in this version's folder; expected "
            "exactly one"
        )
    others = sorted(p.name for p in path.iterdir() if _holds_weights(p))
    if others:
        raise InputError(
            f"{path}: two sets of weights, {found[0].name} and {others[0]}; "
            "leave the one that ships"
        )
    return found[0]


def _holds_weights(path: Path) -> bool:
    """Whether a file beside a version's weights may hold other weights, and not what training
    needed besides (an optimizer's state, random states)."""
    besides = path.stem.lower().startswith(_BESIDES)
    return path in TORCH and not besides and not is_stray_name(path.name)


@dataclass(frozen=True)
class Listing:
    """The versions in a folder, oldest first as `release_key` counts, and what is wrong there.

    `refused` cannot be versions and were left out; `doubled` are versions that are there twice;
    `passed_over` are none, and may have been meant as one. A line each. `doubtful` has these lines
    by the names of the versions. `tables` are those that name no outputs of a model.
    """

    versions: dict[str, Path]
    refused: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    doubtful: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Path] = field(default_factory=dict)

    @property
    def wrong(self) -> tuple[str, ...]:
        return self.refused + self.doubled


def look_for_versions(folder: Path) -> Listing:
    """What lies in a folder of versions: `v1.safetensors`, or `v1/` with one such file.

    A model that came as its outputs has a Parquet or CSV file a version; such a file counts where
    its columns name the outputs of one model. A file of another kind is listed too, so that it is
    refused with a clear error when read and not passed over in silence. What `why_stray` knows for
    something else is left out: downloads under way, checksums, logs, empty folders.

    A name that cannot name a version and a link that leads out of the folder are left out too:
    whoever can put one there must not hold back the other versions, nor other subjects.
    """
    if not folder.is_dir():
        return Listing({})
    found: dict[str, list[Path]] = {}
    refused: dict[str, str] = {}
    passed_over: dict[str, str] = {}
    tables: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_stray_name(path.name):
            continue
        name = path.name if path.is_dir() else path.stem
        if not path.exists():
            passed_over[name] = printable(f"{path}: a link that leads nowhere")
            continue
        try:
            inside(path, folder)
            if (why := why_stray(path)) is not None:
                passed_over |= {name: printable(f"{path}: {why}")} if why else {}
                continue
            if path.suffix.lower() in suffixes(TABLES) and not (
                path.is_file() and holds_outputs(path)
            ):
                tables[name] = path  # the list of members, or the records
                continue
            found.setdefault(version_name(name, folder), []).append(path)
        except InputError as error:
            refused[name] = str(error)
    doubled = {
        name: printable(
            f"{folder}: version {name!r} is there more than once "
            f"({', '.join(p.name for p in paths)}); {paths[-1].name} counts: remove the others"
        )
        for name, paths in found.items()
        if len(paths) > 1
    }
    versions = {name: found[name][-1] for name in sorted(found, key=release_key)}
    return Listing(
        versions,
        refused=tuple(refused.values()),
        doubled=tuple(doubled.values()),
        passed_over=tuple(passed_over.values()),
        doubtful=passed_over | refused | doubled,
        tables=tables,
    )


def list_versions(folder: Path, *, strict: bool = False) -> dict[str, Path]:
    """The versions in a folder, as `look_for_versions` finds them.

    Raises:
        InputError: with `strict`, where anything is wrong.
    """
    found = look_for_versions(folder)
    if strict and found.wrong:
        raise InputError(found.wrong[0])
    for line in found.doubled + found.passed_over:
        _warn_once(line)
    return found.versions


def still_there(versions: Mapping[str, Path], version: str) -> Path | None:
    """Where a version lies of those that were listed; None where it is none, or gone since."""
    path = versions.get(version)
    return path if path is not None and path.exists() else None


@lru_cache(maxsize=1024)
def _warn_once(line: str) -> None:
    """Folders are listed all the time: what is wrong with one is said once a process."""
    _log.warning("%s", line)


def columns(path: Path) -> list[str]:
    """The names of the columns of a Parquet or CSV file, the table itself unread.

    Raises:
        InputError: not such a file.
    """
    try:
        if path in PARQUET:
            from pyarrow import parquet

            return list(parquet.read_schema(path).names)
        from memory_assets.records.tables import header_line

        return next(csv.reader([header_line(path)]), [])
    except (ValueError, RuntimeError, OSError, MemoryError, csv.Error) as error:  # pyarrow's too
        raise InputError(f"{path}: not a readable {path.suffix[1:]} table") from error


def holds_outputs(path: Path) -> bool:
    """Whether a table looks like the outputs of one model, by its columns."""
    try:
        names = columns(path)
    except InputError:
        return path in PARQUET  # listed, and refused when it is read
    return bool({"logit_0", "prob_0"} & set(names)) and "model" not in names


def read_manifest(path: Path, files: Sequence[Path] | None = None) -> Manifest | None:
    """The manifest inside a checkpoint, or None where its owner wrote none.

    `files` are the safetensors files of a folder that may have several.

    Raises:
        InputError: not a safetensors file, a manifest that cannot be read, or two that differ.
    """
    from safetensors import SafetensorError, safe_open

    texts: set[str] = set()
    for file in [checkpoint_file(path)] if files is None else files:
        try:
            with safe_open(file, framework="np") as f:
                texts |= {t for t in [(f.metadata() or {}).get(_MANIFEST_KEY)] if t is not None}
        except (SafetensorError, OSError) as error:
            raise _unreadable(file, error) from error
    if len(texts) > 1:
        raise InputError(
            f"{path}: its files carry {len(texts)} manifests; expected the same in all"
        )
    text = texts.pop() if texts else None
    if text is None:
        return None
    try:
        row = _ManifestRow.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:1])
        raise InputError(
            f"{path}: its manifest cannot be read ({where}: {first['type']})"
        ) from None
    return Manifest(**row.model_dump())


def carried_manifest(version: Path | None) -> Manifest | None:
    """The manifest that a version came with; None of one that is gone, or whose kind has none.

    Raises:
        InputError: as `read_manifest`.
    """
    if version is None or not (version.is_dir() or version in SAFETENSORS):
        return None
    return read_manifest(version)


def _as_metadata(manifest: Manifest) -> dict[str, str]:
    """A manifest as safetensors keeps it."""
    from dataclasses import asdict

    return {_MANIFEST_KEY: json.dumps(asdict(manifest), sort_keys=True)}


def add_manifest(file: Path, manifest: Manifest) -> None:
    """Write a manifest into a safetensors file that is there, whole or not at all.

    Raises:
        InputError: not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    try:
        with safe_open(file, framework="pt") as f:
            metadata = f.metadata() or {}
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise _unreadable(file, error) from error
    with replacing(file) as temporary:
        save_file(tensors, temporary, metadata=metadata | _as_metadata(manifest))
        temporary.chmod(file.stat().st_mode & 0o777)


def save_checkpoint(path: Path, state: dict[str, np.ndarray], manifest: Manifest) -> None:
    """Write weights and manifest as one safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.ascontiguousarray(value) for name, value in state.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=_as_metadata(manifest))


def load_checkpoint(path: Path, recipe: Recipe) -> dict[str, np.ndarray]:
    """Read the weights of one version and hold them against the recipe's architecture.

    safetensors is read as it is; a `.pt`, `.pth` or `.bin` file with
    `torch.load(weights_only=True)`, which refuses anything that is not a plain tensor.

    Wrappers of well-known training programs are undone, and that is logged: prefixes of names,
    and the training state around a state dict.

    Raises:
        InputError: a pickle, a truncated file, another architecture (the first tensors that do
            not fit are named), numbers of another kind, or a weight that is not finite.
    """
    file = checkpoint_file(path)
    afford(2 * file.stat().st_size, file, "its weights")
    state, under = (_read_safetensors(file), "") if file in SAFETENSORS else read_torch(file)
    expected = recipe.build_model().state_dict()
    names = undo_wrappers(list(state), lambda found: len(set(found) ^ set(expected)))
    state = {names.of[name]: tensor for name, tensor in state.items()}
    missing, unknown = set(expected) - set(state), set(state) - set(expected)
    if missing or unknown:
        raise InputError(
            f"{path}: not the architecture {recipe.model}: {misfit(missing, unknown)}; give the "
            "recipe the model and model_args that this checkpoint was made with"
        )
    if under:
        _warn_once(printable(f"{path}: its weights lie under {under!r} and were read from there"))
    if names.undone:
        _warn_once(f"{path}: {names.said}")
    return {n: _weight(path, n, state[n], like, recipe.model) for n, like in expected.items()}


def _weight(
    path: Path, name: str, value: torch.Tensor, like: torch.Tensor, model: str
) -> np.ndarray:
    """One tensor of a checkpoint as the model holds it."""
    # A tensor of a few bytes can claim any shape (strides of 0): compared before it is read.
    if tuple(value.shape) != tuple(like.shape):
        raise InputError(
            f"{path}: tensor {name!r} has shape {list(value.shape)}, {model} "
            f"expects {list(like.shape)}; give the recipe the model_args it was made with"
        )
    theirs, ours = kind_of(str(value.dtype)), kind_of(str(like.dtype))
    if theirs != ours or value.is_quantized or value.is_sparse:
        raise InputError(
            f"{path}: tensor {name!r} holds {theirs} numbers ({value.dtype}), {model} has {ours} "
            "ones; expected plain numbers: export the model in its own precision, not quantized"
        )
    try:
        # In the model's own precision: a number that it cannot hold would come out infinite.
        found = value.to(like.dtype)
        weight = (found.float() if found.is_floating_point() else found).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{path}: tensor {name!r} is {value.dtype}; expected plain numbers"
        ) from error
    if not np.isfinite(weight).all():
        raise InputError(
            f"{path}: tensor {name!r} holds a value that is not finite; "
            "this model cannot be audited, export it again"
        )
    return weight


def fingerprint(files: Sequence[Path]) -> str:
    """The digest of a version's bytes: of one file that file's, of several that of all by name."""
    return fingerprint_of({file.name: digest_file(file) for file in sorted(files)})


def fingerprint_of(digests: Mapping[str, str]) -> str:
    """The same from the digests of its files by their names, in the order of their paths."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    return digest([[name, found] for name, found in digests.items()])


def is_whole(file: Path) -> bool:
    """Whether a file is complete by its own account: one that is still being copied is not.

    safetensors say how long they are; a zip (`.pt`, `.pth`, `.bin`) and Parquet end in a
    directory. Nothing is known of any other kind, nor of what is no such file: False.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if file in SAFETENSORS:
            with safe_open(file, framework="np"):
                return True
        if file in PARQUET:
            return bool(columns(file))
        return file in TORCH and zipfile.is_zipfile(file)
    except (SafetensorError, InputError, OSError):
        return False


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).partition(":")[0][:80]
    return InputError(f"{path}: not a whole safetensors file ({reason}); {CONVERT}")
