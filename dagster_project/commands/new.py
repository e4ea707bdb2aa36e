"""memory-assets new: write the YAML of a subject."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    folder: Annotated[Path, typer.Argument(help="Folder with the records and the model.")],
    subject: Annotated[str | None, typer.Option(help="Its name; the folder's without it.")] = None,
    records: Annotated[str | None, typer.Option(help="File or folder of the records.")] = None,
    loader: Annotated[str | None, typer.Option(help="Or package.module:function.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the class labels.")] = None,
    members: Annotated[str | None, typer.Option(help="CSV of the ids trained on.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Model factory package.module:function (way 1).")
    ] = None,
    fit: Annotated[
        str | None, typer.Option(help="Training callable package.module:function (way 2).")
    ] = None,
    command: Annotated[str | None, typer.Option(help="Training command (way 3).")] = None,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="Outputs only, no model (way 4).")
    ] = False,
    shadows: Annotated[
        str | None, typer.Option(help="Outputs of shadow models, with --predictions.")
    ] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Folder with a file for each version.")
    ] = None,
    depth: Annotated[str | None, typer.Option(help="quick, standard or thorough.")] = None,
) -> None:
    """Write a subject from a folder, and say what is missing for which measurement."""
    from dagster_project.cli import project_root
    from dagster_project.scaffold import Given, write_subject

    given = Given(
        records=records,
        loader=loader,
        label=label,
        members=members,
        recipe=recipe,
        fit=fit,
        command=command,
        predictions=predictions,
        shadows=shadows,
        checkpoints=checkpoints,
        depth=depth,
    )
    written = write_subject(project_root(), folder, subject, given)
    name = written.subject
    print(f"wrote {written.path}")
    for sentence in written.missing:
        print(f"- {sentence}")
    print(f"Next: memory-assets doctor, then memory-assets audit {name}")
