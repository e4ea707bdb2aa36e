"""The owner's code runs here, and what it prints stays out of every log.

Standard output of a step is kept by Dagster, shown in its UI, and by a service manager sent on.
Code that trains on records may well print one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from memory_assets.store.disk import private_folder


@contextlib.contextmanager
def heard_only_in(log: Path | None) -> Iterator[None]:
    """Send what Python code prints, warns or logs by default to a private file, or nowhere.

    The file is removed where nothing was said.
    """
    if log is None:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, _redirected(nowhere):
            yield
        return
    private_folder(log.parent)
    with open(log, "w", encoding="utf-8", opener=_private) as file, _redirected(file):
        yield
    if not log.stat().st_size:
        log.unlink()


@contextlib.contextmanager
def _redirected(target) -> Iterator[None]:
    with contextlib.redirect_stdout(target), contextlib.redirect_stderr(target):
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
