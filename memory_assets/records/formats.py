"""Which files from outside are read, by suffix: the one place where such a suffix stands.

A reader is chosen by `Format`; what is refused, what `memory-assets new` finds and what the
reference lists is named from the roles below.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """A kind of file: what it is called, and the suffixes by which it is known, the usual first."""

    name: str
    suffixes: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """The usual suffix."""
        return self.suffixes[0]

    def __contains__(self, path: Path) -> bool:
        """Whether a file is called as one of this kind."""
        return path.suffix in self.suffixes


PARQUET = Format("Parquet", (".parquet", ".pq"))
CSV = Format("CSV", (".csv",))
NPZ = Format("npz", (".npz",))
NPY = Format("npy", (".npy",))
SAFETENSORS = Format("safetensors", (".safetensors",))
TORCH = Format("torch", (".pt", ".pth", ".bin"))
PICKLE = Format("pickle", (".ckpt", ".pkl"))
JSON = Format("JSON", (".json",))
JSON_LINES = Format("JSON lines", (".jsonl", ".ndjson"))
TEXT = Format("text", (".txt",))
MARKDOWN = Format("Markdown", (".md",))
SENTENCEPIECE = Format("SentencePiece", (".model",))
PNG = Format("PNG", (".png",))
JPEG = Format("JPEG", (".jpg", ".jpeg"))
BMP = Format("BMP", (".bmp",))
WEBP = Format("WEBP", (".webp",))

Formats = tuple[Format, ...]

TABLES: Formats = (PARQUET, CSV)
"""Tables: records, the outputs of a model, shadow models' outputs."""
RECORDS: Formats = (*TABLES, NPZ, NPY, SAFETENSORS)
"""Files of records; images lie in folders."""
IMAGES: Formats = (PNG, JPEG, BMP, WEBP)
"""Images, each called as its decoder is."""
ID_LISTS: Formats = (CSV, TEXT, PARQUET)
"""Lists of the ids of members."""
TEXT_TABLES: Formats = (PARQUET, JSON_LINES)
"""Texts in a column or a field."""
PLAIN_TEXTS: Formats = (TEXT, MARKDOWN)
"""Texts without columns."""
WEIGHTS: Formats = (SAFETENSORS, TORCH)
"""Weights that are read."""
MODEL_FOLDER_WEIGHTS: Formats = (*WEIGHTS, PICKLE)
"""Weights by which a folder is known for a model's, whether or not they are read."""
TOKENIZER: Formats = (JSON, TEXT, SENTENCEPIECE)
"""Files of a tokenizer and of a model's settings."""


def suffixes(formats: Formats) -> tuple[str, ...]:
    """All suffixes of these kinds."""
    return tuple(suffix for each in formats for suffix in each.suffixes)


def is_one_of(path: Path, formats: Formats) -> bool:
    """Whether a file is called as one of these kinds."""
    return path.suffix in suffixes(formats)


def either(formats: Formats) -> str:
    """Their suffixes as an error or a page lists them: ".csv, .txt, .parquet or .pq"."""
    *first, last = suffixes(formats)
    return f"{', '.join(first)} or {last}" if first else last


def either_named(formats: Formats) -> str:
    """Their names as a sentence lists them: "Parquet, CSV or npz"."""
    *first, last = (each.name for each in formats)
    return f"{', '.join(first)} or {last}" if first else last
