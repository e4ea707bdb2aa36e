"""What a language model recites: extraction and exposure by repetition, controls beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_FILE = "secrets.parquet"
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("repetitions", pa.int64()),
        ("masked", pa.string()),
        ("extracted", pa.bool_()),
        ("exposure", pa.float64()),
    ]
)


@dataclass(frozen=True)
class RecitedSecret:
    """A secret as a report may show it: its id, its value masked, and what came out.

    `exposure` is in bits, None where nobody can say what else the value might have been.
    """

    id: str
    repetitions: int
    masked: str
    extracted: bool
    exposure: float | None


def save_recited(secrets: Iterable[RecitedSecret], folder: Path) -> None:
    """Write the masked secrets of an audit beside its results."""
    rows = [asdict(secret) for secret in secrets]
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), folder / _FILE)


def read_recited(folder: Path) -> tuple[RecitedSecret, ...]:
    """The masked secrets of an audit; none where its kind has none."""
    if not (folder / _FILE).is_file():
        return ()
    return tuple(RecitedSecret(**row) for row in pq.read_table(folder / _FILE).to_pylist())
