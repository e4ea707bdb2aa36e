"""What an owner says of a new subject by flags, and what a folder makes of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from memory_assets.errors import InputError

CLASSIFIERS, LANGUAGE_MODELS = "Of classifiers", "Of language models"
"""What a flag may speak of alone."""


@dataclass(frozen=True)
class Flag:
    """A flag of `memory-assets new`: what its help says, and of which kind of model alone it is."""

    help: str
    of: str | None = None


@dataclass(frozen=True)
class RawInputs:
    """What the owner said by flags; None where they left it to what lies in the folder.

    The command line makes its options from these fields: a new flag is declared here alone.
    """

    members: Annotated[str | None, Flag("CSV of the ids trained on, or the texts trained on.")] = (
        None
    )
    recipe: Annotated[str | None, Flag("Model factory package.module:function (way 1).")] = None
    checkpoints: Annotated[str | None, Flag("Folder with a file or folder for each version.")] = (
        None
    )

    records: Annotated[str | None, Flag("File or folder of the records.", CLASSIFIERS)] = None
    loader: Annotated[str | None, Flag("Or package.module:function.", CLASSIFIERS)] = None
    label: Annotated[str | None, Flag("Column of the class labels.", CLASSIFIERS)] = None
    fit: Annotated[
        str | None, Flag("Training callable package.module:function (way 2).", CLASSIFIERS)
    ] = None
    command: Annotated[str | None, Flag("Training command (way 3).", CLASSIFIERS)] = None
    predictions: Annotated[bool, Flag("Outputs only, no model (way 4).", CLASSIFIERS)] = False
    shadows: Annotated[
        str | None, Flag("Outputs of shadow models, with --predictions.", CLASSIFIERS)
    ] = None
    depth: Annotated[str | None, Flag("quick, standard or thorough.", CLASSIFIERS)] = None

    held_out: Annotated[str | None, Flag("Texts never trained on.", LANGUAGE_MODELS)] = None
    text: Annotated[str | None, Flag("Column or field of the text.", LANGUAGE_MODELS)] = None
    manifest: Annotated[str | None, Flag("Canaries that were planted.", LANGUAGE_MODELS)] = None
    secrets: Annotated[str | None, Flag("Or a CSV of prefix and value.", LANGUAGE_MODELS)] = None
    reference: Annotated[
        str | None, Flag("Folder of a model without the members.", LANGUAGE_MODELS)
    ] = None
    base: Annotated[str | None, Flag("Folder of the base of adapters.", LANGUAGE_MODELS)] = None

    @classmethod
    def flags(cls) -> dict[str, tuple[Any, Flag]]:
        """The type of each flag's value and what the flag is, by the field's name, in order."""
        hints = get_type_hints(cls, include_extras=True)
        return {f.name: get_args(hints[f.name]) for f in fields(cls)}

    def first_of(self, kind: str) -> str | None:
        """The first flag that was given of those that speak of one kind of model alone."""
        mine = (name for name, (_, flag) in self.flags().items() if flag.of == kind)
        said = next((name for name in mine if getattr(self, name)), None)
        return said and "--" + said.replace("_", "-")


@dataclass(frozen=True)
class Draft:
    """A subject before it is written: the component's type, its attributes, what is missing."""

    type: str
    attributes: dict[str, Any]
    missing: tuple[str, ...]


def only(candidates: list[str], what: str, flag: str) -> str | None:
    """The one candidate; more than one is a question that only the owner can answer."""
    if len(candidates) > 1:
        shown = ", ".join(candidates[:4])
        raise InputError(f"{what}: {shown} could be it; say which with {flag}")
    return candidates[0] if candidates else None


def shown_columns(names: list[str]) -> str:
    """Column names as an error may show them: a first row in their place is not repeated."""
    from memory_assets.records.tables import looks_like_a_record

    return "its columns" if looks_like_a_record(names) else ", ".join(names[:12])


def named(path: Path, root: Path) -> str:
    """A path as a subject names it: relative to the project where it lies there."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


NO_GATE = "No gate: every verdict is inconclusive until you say what may pass (gate:)."
