"""What an owner says of a new subject by flags, and what a folder makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_assets.errors import InputError

OF_CLASSIFIERS = (
    "records",
    "loader",
    "label",
    "fit",
    "command",
    "predictions",
    "shadows",
    "depth",
)
OF_LANGUAGE_MODELS = ("held_out", "text", "manifest", "secrets", "reference", "base")


@dataclass(frozen=True)
class Given:
    """What the owner said by flags; None where they left it to what lies in the folder."""

    members: str | None = None
    recipe: str | None = None
    checkpoints: str | None = None

    records: str | None = None
    loader: str | None = None
    label: str | None = None
    fit: str | None = None
    command: str | None = None
    predictions: bool = False
    shadows: str | None = None
    depth: str | None = None

    held_out: str | None = None
    text: str | None = None
    manifest: str | None = None
    secrets: str | None = None
    reference: str | None = None
    base: str | None = None

    def first_of(self, names: tuple[str, ...]) -> str | None:
        """The first of these that was given, as a flag."""
        given = next((name for name in names if getattr(self, name)), None)
        return given and "--" + given.replace("_", "-")


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
