"""What a model achieved on cases of the business that it never saw: the metric that is paid for."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.statistics.estimate import Estimate
from memory_assets.statistics.intervals import rate

_RIGHT = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def read_outcomes(path: Path) -> dict[str, Estimate]:
    """The share of cases that came out right, by version, with its Clopper-Pearson interval.

    A row is a case: `version` names the model's version, `right` says 0 or 1, and `case`, where
    there is such a column, tells cases apart. That no case was trained on is the owner's word.

    Raises:
        InputError: no such file or column, a value that is neither 0 nor 1, a case twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _counted(csv.DictReader(file), path)
    except FileNotFoundError as error:
        raise InputError(f"outcomes: no file {path}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error


def _counted(rows: csv.DictReader, path: Path) -> dict[str, Estimate]:
    for column in ("version", "right"):
        if column not in (rows.fieldnames or ()):
            raise InputError(f"{path}: no column {column!r}; expected version and right (and case)")
    cases: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for line, row in enumerate(rows, start=2):
        version, said = row["version"] or "", (row["right"] or "").strip().lower()
        if said not in _RIGHT:
            raise InputError(f"{path}, line {line}: right is {row['right']!r}; expected 0 or 1")
        if "case" in row:
            case = (version, row["case"] or "")
            if case in seen:
                raise InputError(f"{path}, line {line}: case {case[1]!r} of {version!r} is twice")
            seen.add(case)
        cases[version] += 1
        hits[version] += _RIGHT[said]
    return {version: rate(hits[version], n) for version, n in cases.items()}
