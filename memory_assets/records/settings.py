"""Where the records of a classifier are, as their owner writes it."""

from __future__ import annotations

from pydantic import Field, model_validator

from memory_assets.records.formats import ID_LISTS, RECORDS, either, either_named
from memory_assets.spec import Spec

ROW_NUMBER = "row number"
"""In place of a column of ids: the records are numbered from 0."""


class RecordsSpec(Spec):
    """Where the records are: a loader, a file, or a folder of images."""

    members: str = Field(
        description=f"list of the record ids that the model was trained on ({either(ID_LISTS)}): "
        "a table with their column, or a text file with one a line"
    )
    loader: str | None = Field(
        default=None, description="function that returns a memory_assets Dataset"
    )
    path: str | None = Field(
        default=None,
        description=f"{either_named(RECORDS)} file, or a folder of images by class",
    )
    files: list[str] = Field(
        default_factory=list, description="files that the loader reads, watched for changes"
    )
    label: str = Field(
        default="label",
        description="column or array of the class labels; of an npy file, the npy file beside it",
    )
    id: str | None = Field(
        default=None,
        description="column of record ids, or `row number`; without it, row numbers where no "
        "column looks like ids",
    )

    @model_validator(mode="after")
    def _two_columns(self) -> RecordsSpec:
        if self.id == self.label:
            raise ValueError(
                f"id and label both name {self.id!r}, and a class is no id of a record; name the "
                f"column of ids, or say id: {ROW_NUMBER}"
            )
        return self
