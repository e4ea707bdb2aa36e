"""What a model achieved on cases of the business that it never saw: the metric that is paid for."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.results.estimate import Estimate
from memory_assets.statistics.intervals import rate
from memory_assets.store.paths import is_file

if TYPE_CHECKING:
    from _csv import Reader

_RIGHT = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def read_outcomes(path: Path) -> dict[str, Estimate]:
    """The share of cases that came out right, by version, with its Clopper-Pearson interval.

    A row is a case: `version` names the model's version, `right` says 0 or 1, and `case`, where
    there is such a column, tells cases apart. That no case was trained on is the owner's word.

    Raises:
        InputError: no such file or column, a row of another width than the header, a value that is
            neither 0 nor 1, a case twice. Rows are named by their line: what stands in them may be
            a record.
    """
    if not is_file(path):
        raise InputError(f"outcomes: no file {path}")
    try:
        afford(20 * path.stat().st_size, path, "its cases")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _counted(csv.reader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        kind = type(error).__name__
        raise InputError(f"{path}: not a readable CSV file in UTF-8 ({kind})") from error


def _columns(header: list[str], path: Path) -> dict[str, int]:
    """Where the columns stand that are read."""
    for column in ("version", "right"):
        if column not in header:
            raise InputError(f"{path}: no column {column!r}; expected version and right (and case)")
    known = [name for name in ("version", "right", "case") if name in header]
    if twice := next((name for name in known if header.count(name) > 1), None):
        raise InputError(f"{path}: column {twice!r} stands twice; give each a name of its own")
    return {name: header.index(name) for name in known}


def _counted(rows: Reader, path: Path) -> dict[str, Estimate]:
    header = next(rows, [])
    place = _columns(header, path)
    cases: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for row in filter(None, rows):
        where = f"{path}, line {rows.line_num}"
        if len(row) != len(header):
            raise InputError(
                f"{where}: {len(row)} cells under {len(header)} columns; put a text that holds a "
                "comma in quotes"
            )
        version, said = row[place["version"]], row[place["right"]].strip().lower()
        if said not in _RIGHT:
            raise InputError(f"{where}: right is neither 0 nor 1; write one of them")
        if "case" in place:
            case = (version, row[place["case"]])
            if case in seen:
                raise InputError(f"{where}: its case stands twice for one version; list it once")
            seen.add(case)
        cases[version] += 1
        hits[version] += _RIGHT[said]
    return {version: rate(hits[version], n) for version, n in cases.items()}
