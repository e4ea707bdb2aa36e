"""memory-assets new: write the YAML of a subject."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from memory_assets.cli.common import project_root
from memory_assets.dagster.starters.raw_inputs import RawInputs


def _with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every field of `RawInputs` in place of `**flags`."""
    own = [
        p
        for p in inspect.signature(command, eval_str=True).parameters.values()
        if p.name != "flags"
    ]
    asked = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(RawInputs, name),
            annotation=Annotated[kind, _option(name, kind, flag.help, flag.of)],
        )
        for name, (kind, flag) in RawInputs.flags().items()
    ]
    command.__signature__ = inspect.Signature([*own, *asked])  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {p.name: p.annotation for p in [*own, *asked]}
    return command


def _option(name: str, kind: Any, said: str, panel: str | None) -> Any:
    names = [f"--{name.replace('_', '-')}"] if kind is bool else []  # and no `--no-` beside it
    return typer.Option(*names, help=said, rich_help_panel=panel)


@_with_flags
def new(
    folder: Annotated[Path, typer.Argument(help="Folder with the data and the model.")],
    subject: Annotated[str | None, typer.Option(help="Its name; the folder's without it.")] = None,
    **flags: Any,
) -> None:
    """Write a subject from a folder, and say what is missing for which measurement."""
    from memory_assets.dagster.scaffold import write_subject

    written = write_subject(project_root(), folder, subject, RawInputs(**flags))
    print(f"wrote {written.path}")
    for sentence in written.missing:
        print(f"- {sentence}")
    print(f"Next: memory-assets doctor, then memory-assets audit {written.subject}")
