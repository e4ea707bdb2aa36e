"""memory-assets new: write the YAML of a subject."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_assets.cli.common import project_root

_RECORDS, _TEXTS = "Of classifiers", "Of language models"


def new(
    folder: Annotated[Path, typer.Argument(help="Folder with the data and the model.")],
    subject: Annotated[str | None, typer.Option(help="Its name; the folder's without it.")] = None,
    members: Annotated[
        str | None, typer.Option(help="CSV of the ids trained on, or the texts trained on.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Model factory package.module:function (way 1).")
    ] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Folder with a file or folder for each version.")
    ] = None,
    records: Annotated[
        str | None, typer.Option(help="File or folder of the records.", rich_help_panel=_RECORDS)
    ] = None,
    loader: Annotated[
        str | None, typer.Option(help="Or package.module:function.", rich_help_panel=_RECORDS)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the class labels.", rich_help_panel=_RECORDS)
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            help="Training callable package.module:function (way 2).", rich_help_panel=_RECORDS
        ),
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="Training command (way 3).", rich_help_panel=_RECORDS)
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions", help="Outputs only, no model (way 4).", rich_help_panel=_RECORDS
        ),
    ] = False,
    shadows: Annotated[
        str | None,
        typer.Option(
            help="Outputs of shadow models, with --predictions.", rich_help_panel=_RECORDS
        ),
    ] = None,
    depth: Annotated[
        str | None, typer.Option(help="quick, standard or thorough.", rich_help_panel=_RECORDS)
    ] = None,
    held_out: Annotated[
        str | None, typer.Option(help="Texts never trained on.", rich_help_panel=_TEXTS)
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Column or field of the text.", rich_help_panel=_TEXTS)
    ] = None,
    manifest: Annotated[
        str | None, typer.Option(help="Canaries that were planted.", rich_help_panel=_TEXTS)
    ] = None,
    secrets: Annotated[
        str | None, typer.Option(help="Or a CSV of prefix and value.", rich_help_panel=_TEXTS)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Folder of a model without the members.", rich_help_panel=_TEXTS),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Folder of the base of adapters.", rich_help_panel=_TEXTS)
    ] = None,
) -> None:
    """Write a subject from a folder, and say what is missing for which measurement."""
    from memory_assets.dagster.scaffold import write_subject
    from memory_assets.dagster.starters.raw_inputs import Given

    given = Given(
        members=members,
        recipe=recipe,
        checkpoints=checkpoints,
        records=records,
        loader=loader,
        label=label,
        fit=fit,
        command=command,
        predictions=predictions,
        shadows=shadows,
        depth=depth,
        held_out=held_out,
        text=text,
        manifest=manifest,
        secrets=secrets,
        reference=reference,
        base=base,
    )
    written = write_subject(project_root(), folder, subject, given)
    name = written.subject
    print(f"wrote {written.path}")
    for sentence in written.missing:
        print(f"- {sentence}")
    print(f"Next: memory-assets doctor, then memory-assets audit {name}")
