"""Reading bundles again, of which some may be damaged: each is left out alone, and named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from memory_assets.history.load import KINDS, BundleError, Head, NoAuditError, load, read_head


@dataclass(frozen=True)
class Rebuilt:
    """`appended` bundles were read again; `kept` were taken over, their folders being gone.

    `damaged` are damaged, or no bundles, and were not read: what they were is among those kept, or
    lost where no old file reads.
    """

    appended: int
    kept: int
    damaged: tuple[Path, ...] = ()


def read_heads(folders: Iterable[Path]) -> tuple[list[Head], list[Path]]:
    """What folders hold, each once, audits before what prices them; and those that hold none."""
    heads: dict[str, Head] = {}
    damaged: list[Path] = []
    for folder in folders:
        try:
            head = read_head(folder)
        except BundleError:
            damaged.append(folder)
        else:
            heads[head.bundle_id] = head
    return sorted(heads.values(), key=lambda head: KINDS.index(head.kind)), damaged


def load_whole(
    con: duckdb.DuckDBPyConnection, heads: Iterable[Head], damaged: list[Path]
) -> tuple[int, list[Head]]:
    """Load what is whole: how many, and those that price an audit which is not there (yet).

    The folders of the rest are added to `damaged`.
    """
    loaded, waiting = 0, []
    for head in heads:
        try:
            loaded += load(con, head, again=True)
        except NoAuditError:
            waiting.append(head)
        except BundleError:
            damaged.append(head.folder)
    return loaded, waiting


def describe_loss(unread: Iterable[Path], damaged: Iterable[Path]) -> str:
    """What a rebuild without any old file that reads could not bring back, in one line.

    `unread` are the old files, under the names that they are kept by; `damaged` the folders of
    audits that do not read either.
    """
    kept = ", ".join(map(str, unread)) or "there was none"
    count = sum(1 for _ in damaged)
    audits = f"; {count} damaged audits or prices on disk are left out" if count else ""
    return (
        f"no old history file could be read ({kept}): the audit plan, actions, sign-offs and "
        f"outcomes in it are not in the new one, nor audits whose folders are gone{audits}"
    )
